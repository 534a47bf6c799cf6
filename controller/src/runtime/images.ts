import { z } from 'zod';
import { EngineError } from '#shared/faults.ts';
import type { Engine } from './engine.ts';
import type { ImageView } from './port.ts';

/** References that are remembered at once; classes name a handful. */
const maxRemembered = 256;
const InspectedImage = z.object({ Id: z.string() });

export interface Images {
  look(reference: string, signal: AbortSignal): Promise<ImageView>;
  /** An image may have changed. */
  forget(): void;
  /** Whether changes are being told at the moment. */
  setFollowed(followed: boolean): void;
}

/**
 * Which id a reference stands for, without a call on the engine in each pass.
 *
 * INVARIANTS. Only what is present is remembered: an image that is missing is asked for until it is there. Something is
 * remembered only while image events are followed, and only when none came since it was asked.
 */
export function createImages(engine: Engine): Images {
  const ids = new Map<string, string>();
  /** one question at a time for each reference: after a resync many passes ask at once */
  const asked = new Map<string, { readonly id: Promise<string | null>; readonly signal: AbortSignal }>();
  let followed = false;
  let changes = 0;

  function forget(): void {
    changes += 1;
    ids.clear();
    asked.clear();
  }

  /** A question ends with whoever asked it first: the others ask anew. */
  async function idOf(reference: string, signal: AbortSignal): Promise<string | null> {
    const question = asked.get(reference) ?? { id: askId(engine, reference, signal), signal };
    asked.set(reference, question);
    try {
      return await question.id;
    } catch (error) {
      if (!question.signal.aborted || signal.aborted) throw error;
    } finally {
      if (asked.get(reference) === question) asked.delete(reference);
    }
    return await idOf(reference, signal);
  }

  return {
    forget,
    setFollowed(now) {
      followed = now;
      forget();
    },
    async look(reference, signal) {
      const known = ids.get(reference);
      if (known !== undefined) return { state: 'present', id: known };
      const changesBefore = changes;
      const id = await idOf(reference, signal);
      if (id === null) return { state: 'absent' };
      if (followed && changes === changesBefore && ids.size < maxRemembered) ids.set(reference, id);
      return { state: 'present', id };
    },
  };
}

async function askId(engine: Engine, reference: string, signal: AbortSignal): Promise<string | null> {
  // The slashes of a reference are part of the engine's path.
  const path = `/images/${encodeURIComponent(reference).replaceAll('%2F', '/')}/json`;
  try {
    const image = await engine.ask('image', { method: 'GET', path }, InspectedImage, engine.timeouts.readMs, signal);
    return image.Id;
  } catch (error) {
    if (error instanceof EngineError && error.fault.kind === 'not-found') return null;
    throw error;
  }
}
