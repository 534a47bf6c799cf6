import { useStore } from '../store.ts';
import { samplesKept, usage } from '../live/usage.ts';
import { bytesText, cpusText } from './sizes.ts';
import { Sparkline } from './sparkline.tsx';

/** What a box uses of its limit below which its line does not fill the height: else noise would look like work. */
const calmPart = 0.1;

/** A line at the bottom means calm; the higher it is, the more of its time the box was at its most. */
export function UsageSparklines({ user }: { readonly user: string }) {
  const samples = useStore(usage).get(user) ?? [];
  const now = samples.at(-1);
  if (now === undefined) return <span className="quiet">–</span>;
  return (
    <span className="sparklines">
      <Sparkline
        label="Processors"
        values={samples.flatMap(({ cpus }) => cpus ?? [])}
        ceiling={now.cpusLimit * calmPart}
        most={samplesKept}
        text={now.cpus === null ? '…' : `${cpusText(now.cpus)} cpu`}
        title={`of ${cpusText(now.cpusLimit)}`}
      />
      <Sparkline
        label="Memory"
        values={samples.map(({ memoryBytes }) => memoryBytes)}
        ceiling={now.memoryLimitBytes * calmPart}
        most={samplesKept}
        text={bytesText(now.memoryBytes)}
        title={`of ${bytesText(now.memoryLimitBytes)}`}
      />
    </span>
  );
}
