import { useId } from 'react';

/** Filled in by the field, read when the dialog is confirmed. */
export interface ReasonGiven {
  reason: string;
}

export function ReasonField({ given }: { readonly given: ReasonGiven }) {
  const id = useId();
  return (
    <div className="form">
      <label htmlFor={id}>Why (others see it)</label>
      <input
        id={id}
        maxLength={200}
        onChange={(event) => {
          given.reason = event.target.value;
        }}
      />
    </div>
  );
}
