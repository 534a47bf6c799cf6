import { isBoxName, isFormerTerminalName, type UserName, userOfBoxName } from '#shared/identity.ts';
import { type HostContainer, liveStates } from '../runtime/host-port.ts';
import { type FoundLeftover, seenOf } from './found.ts';

const shortIdLength = 12;
const live: ReadonlySet<string> = new Set(liveStates);

/**
 * Containers of the earlier worker, by their names. One that carries the label of any installation is none of them, whatever
 * it is called. `homeOf`: where a user's home is, as the engine sees it.
 */
export function formerContainers(
  containers: readonly HostContainer[],
  homeOf: { source: (user: UserName) => string; target: string },
): FoundLeftover[] {
  return containers
    .filter(({ installation, role }) => installation === '' && role === '')
    .flatMap((container) => {
      if (isFormerTerminalName(container.name)) return [terminalOf(container)];
      return isBoxName(container.name) ? [boxOf(container, homeOf)] : [];
    });
}

export function isLiveState(state: string): boolean {
  return live.has(state);
}

function terminalOf(container: HostContainer): FoundLeftover {
  const { id, name, state } = container;
  return {
    leftover: {
      kind: 'terminal-container',
      name,
      seen: seenOfContainer(container),
      about: `terminal of a job of before, ${state} (${id.slice(0, shortIdLength)})`,
      action: 'remove',
      inUse: isLiveState(state) ? 'it runs: somebody may be at this terminal' : null,
    },
    target: { type: 'container', id },
  };
}

function boxOf(
  container: HostContainer,
  homeOf: { source: (user: UserName) => string; target: string },
): FoundLeftover {
  const { id, name, state, mounts } = container;
  const about = `box that no installation made, ${state} (${id.slice(0, shortIdLength)})`;
  const common = { kind: 'unlabelled-box', name, seen: seenOfContainer(container) } as const;
  const user = userOfBoxName(name);
  if (user === null) {
    const told = `${about}; no user can have this name: remove or rename it by hand`;
    return { leftover: { ...common, about: told, action: 'none', inUse: null }, target: { type: 'none' } };
  }
  const source = homeOf.source(user);
  const home = mounts.find((mount) => mount.source === source) ?? mounts.find(({ target }) => target === homeOf.target);
  const inUse = home?.source === source ? null : notKept(home?.source ?? null, source);
  return { leftover: { ...common, about, action: 'adopt', inUse }, target: { type: 'box', id, user } };
}

/** Why its replacement would not have the same home. */
function notKept(home: string | null, source: string): string {
  if (home === null) return `it has no home mounted: what was written in it would be lost with it, save it first`;
  return `its home is ${home}, and its replacement would have ${source}: move the home there first`;
}

function seenOfContainer({ id, name, state, createdAtS }: HostContainer): string {
  return seenOf([id, name, state, createdAtS]);
}
