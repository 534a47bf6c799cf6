import { useMemo, useState } from 'react';
import type { BoxEventView, BoxView } from '#shared/api-schemas.ts';
import type { MachineView as Machine } from '#shared/operator-schemas.ts';
import { useIsNarrow } from '../ui/use-is-narrow.ts';
import { layoutMachine } from './layout.ts';
import { MachineDrawing } from './machine-drawing.tsx';
import { RulesPanel } from './rules-panel.tsx';
import { takenEdges } from './taken.ts';

/** What the person looks into: a state with all its rules, or one edge. */
export type Looked =
  | { readonly is: 'state'; readonly state: string }
  | { readonly is: 'edge'; readonly from: string; readonly to: string };

/** The machine as it is defined, the state in which the box is lit, and the way that it took there. */
export function MachineView({
  machine,
  box,
  events,
}: {
  readonly machine: Machine;
  readonly box: BoxView;
  readonly events: readonly BoxEventView[];
}) {
  const isNarrow = useIsNarrow();
  const drawing = useMemo(() => layoutMachine(machine, isNarrow ? 'tall' : 'wide'), [machine, isNarrow]);
  const present = stateOf(box);
  const taken = takenEdges(events);
  const [looked, setLooked] = useState<Looked | null>(null);
  return (
    <div className="machine">
      <MachineDrawing drawing={drawing} present={present} taken={taken} looked={looked} onLook={setLooked} />
      <RulesPanel
        machine={machine}
        present={present}
        taken={taken}
        looked={looked ?? { is: 'state', state: present }}
      />
    </div>
  );
}

export function stateOf({ phase, step }: Pick<BoxView, 'phase' | 'step'>): string {
  return step === null ? phase : `${phase}.${step}`;
}
