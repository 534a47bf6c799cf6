import type { AnyStateNode } from 'xstate';
import type { MachineView } from '#shared/operator-schemas.ts';
import type { boxMachine } from './machine.ts';

/** The machine as it is defined, for people to look at: its leaf states, and the rules of each in the order of asking. Pure. */
export function machineView(machine: typeof boxMachine): MachineView {
  const leaves = leavesOf(machine.root);
  return {
    states: leaves.map(nameOf),
    edges: leaves.flatMap((state) =>
      [...state.transitions.values()].flat().map(({ target, description }) => {
        const [to] = target ?? [];
        return { from: nameOf(state), to: to ? nameOf(to) : null, rule: description ?? '' };
      }),
    ),
  };
}

function leavesOf(node: AnyStateNode): AnyStateNode[] {
  const children = Object.values(node.states);
  return children.length === 0 ? [node] : children.flatMap(leavesOf);
}

/** `provisioning.pulling` */
function nameOf(node: AnyStateNode): string {
  return node.path.join('.');
}
