import { pin, pinTimes } from '../boxes/pin.ts';
import { whoIsHere } from '../session/who-is-here.ts';
import { useAction } from '../ui/action.ts';

/** Keeps the box for a while, and starts it where it is not there. */
export function PinMenu({ user }: { readonly user: string }) {
  const act = useAction();
  return (
    <select
      aria-label={`Pin the box of ${user}`}
      value=""
      onChange={({ target }) => {
        const chosen = pinTimes.find(({ ms }) => String(ms) === target.value);
        if (chosen === undefined) return;
        act(async (signal) => {
          await pin(user, whoIsHere(), chosen.ms, null, signal);
          return `The box of ${user} is kept for ${chosen.text}.`;
        });
      }}
    >
      <option value="">Pin …</option>
      {pinTimes.map(({ ms, text }) => (
        <option key={ms} value={ms}>
          for {text}
        </option>
      ))}
    </select>
  );
}
