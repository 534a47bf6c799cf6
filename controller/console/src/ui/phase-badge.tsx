import type { Phase, Step } from '#shared/status.ts';

/** The phase with its step; told by the word, the colour only repeats it. */
export function PhaseBadge({ phase, step }: { readonly phase: Phase; readonly step: Step | null }) {
  return (
    <span className={`phase phase-${phase}`}>
      <span className="phase-dot" aria-hidden="true" />
      {phase}
      {step !== null && <span className="phase-step">{step}</span>}
    </span>
  );
}
