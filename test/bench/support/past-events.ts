import type Docker from 'dockerode';
import { z } from 'zod';

const Event = z.object({ Action: z.string(), timeNano: z.number() });
export type EngineEvent = z.infer<typeof Event>;

/** What the engine remembers of some containers from `sinceS` until now, in its own time; it knows whole seconds only. */
export async function pastEvents(
  docker: Docker,
  sinceS: number,
  filters: { container?: string[]; label?: string[]; event: string[] },
): Promise<EngineEvent[]> {
  const stream = await docker.getEvents({ since: sinceS, until: Math.floor(Date.now() / 1_000) + 1, filters });
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.map((line) => Event.parse(JSON.parse(line)));
}
