import { useStore } from '../store.ts';
import { samplesKept, usage } from '../live/usage.ts';
import { bytesText, cpusText } from './sizes.ts';
import { Sparkline } from './sparkline.tsx';

/** A line at the bottom means calm, one at the top means that the limit is near. */
export function UsageSparklines({ user }: { readonly user: string }) {
  const samples = useStore(usage).get(user) ?? [];
  const now = samples.at(-1);
  if (now === undefined) return <span className="quiet">–</span>;
  return (
    <span className="sparklines">
      <Sparkline
        label="Processors"
        values={samples.flatMap(({ cpus }) => cpus ?? [])}
        ceiling={now.cpusLimit}
        most={samplesKept}
        text={now.cpus === null ? '…' : `${cpusText(now.cpus)} cpu`}
      />
      <Sparkline
        label="Memory"
        values={samples.map(({ memoryBytes }) => memoryBytes)}
        ceiling={now.memoryLimitBytes}
        most={samplesKept}
        text={bytesText(now.memoryBytes)}
      />
    </span>
  );
}
