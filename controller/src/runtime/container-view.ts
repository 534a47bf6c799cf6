import { z } from 'zod';
import { label, userOfBoxName } from '#shared/identity.ts';
import { BoxSpec, type ContainerView } from '../box/observed.ts';

/** Translates what the engine says of a container; what it means is decided elsewhere. */

const Labels = z
  .record(z.string(), z.string())
  .nullish()
  .transform((labels) => labels ?? {});
const State = z.enum(['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead']);

/** An item of `GET /containers/json`. The state is checked only where the container matters to us. */
export const ListedContainer = z.object({
  Id: z.string(),
  Names: z.array(z.string()).nullish(),
  ImageID: z.string(),
  State: z.string(),
  Created: z.number(),
  Labels,
});
export type ListedContainer = z.infer<typeof ListedContainer>;

/** `GET /containers/{id}/json`. */
export const InspectedContainer = z.object({
  Id: z.string(),
  Name: z.string(),
  Image: z.string(),
  Created: z.string(),
  State: z.object({ Status: State, ExitCode: z.number(), OOMKilled: z.boolean().default(false) }),
  Config: z.object({ Labels }),
  ExecIDs: z.array(z.string()).nullish(),
});
export type InspectedContainer = z.infer<typeof InspectedContainer>;

/** Null for a container that can matter to no user: neither a box of this installation nor named like one. */
export function viewOfListed(listed: ListedContainer, installation: string): ContainerView | null {
  // A container that others link to has more names, which hold a second slash.
  const name = (listed.Names ?? []).map(withoutSlash).find((candidate) => !candidate.includes('/')) ?? '';
  const isOurBox = listed.Labels[label.installation] === installation && listed.Labels[label.role] === 'box';
  if (!isOurBox && userOfBoxName(name) === null) return null;
  return {
    id: listed.Id,
    name,
    state: State.parse(listed.State),
    imageId: listed.ImageID,
    ...labelledView(listed.Labels),
    createdAtS: listed.Created,
    exitCode: null,
    oomKilled: false,
  };
}

export function viewOfInspected(inspected: InspectedContainer): ContainerView {
  const { Status: state, ExitCode, OOMKilled } = inspected.State;
  return {
    id: inspected.Id,
    name: withoutSlash(inspected.Name),
    state,
    imageId: inspected.Image,
    ...labelledView(inspected.Config.Labels),
    // A text that is no time is as old as can be.
    createdAtS: Math.floor(Date.parse(inspected.Created) / 1000) || 0,
    exitCode: state === 'exited' || state === 'dead' ? ExitCode : null,
    oomKilled: OOMKilled,
  };
}

/** A generation as we write them; the scripts take no larger number, and no sign. */
const generationPattern = /^\d{1,14}$/;

function labelledView(labels: Record<string, string>) {
  const generation = labels[label.generation] ?? '';
  return {
    installation: labels[label.installation] ?? '',
    role: labels[label.role] ?? '',
    user: labels[label.user] ?? '',
    generation: generationPattern.test(generation) ? Number(generation) : 0,
    spec: specOf(labels[label.spec]),
  };
}

function specOf(text: string | undefined): BoxSpec | null {
  if (text === undefined) return null;
  try {
    return BoxSpec.parse(JSON.parse(text));
  } catch (error) {
    // A label that an older version or a hand wrote: `null` means drift, which is told and acted upon.
    if (error instanceof SyntaxError || error instanceof z.ZodError) return null;
    throw error;
  }
}

function withoutSlash(name: string): string {
  return name.replace(/^\//, '');
}
