import type { BoxView } from '#shared/api-schemas.ts';
import type { ResumeId, WatchEvent } from '../../../sdk/api-client.ts';

export type Boxes = ReadonlyMap<string, BoxView>;

/** All boxes, as a watch tells of them. */
export interface BoxesWatched {
  /** from where the next stream goes on */
  readonly resumeFrom: ResumeId;
  /** as they are now: a copy that does not change any more */
  boxes(): Boxes;
  /** the full state was told */
  readonly isSynced: boolean;
  /** A stream begins. What it tells is a full state where it goes on from nowhere, or where it says so. */
  began(from: ResumeId): void;
  take(event: WatchEvent): void;
}

export function createBoxesWatched(): BoxesWatched {
  const boxes = new Map<string, BoxView>();
  let resumeFrom: ResumeId = null;
  let isSynced = false;
  /** of a full state that is being told; null = only changes are */
  let told: Set<string> | null = null;
  return {
    get resumeFrom() {
      return resumeFrom;
    },
    boxes: () => new Map(boxes),
    get isSynced() {
      return isSynced;
    },
    began(from) {
      told = from === null ? new Set() : null;
    },
    take(event) {
      switch (event.type) {
        case 'box':
          boxes.set(event.box.user, event.box);
          told?.add(event.box.user);
          break;
        case 'removed':
          boxes.delete(event.user);
          break;
        case 'full':
          told = new Set();
          break;
        case 'synced': {
          for (const user of told === null ? [] : boxes.keys()) if (!told?.has(user)) boxes.delete(user);
          told = null;
          isSynced = true;
          break;
        }
      }
      // A full state that broke off half-way cannot be gone on with.
      if (told === null) resumeFrom = event.id;
    },
  };
}
