import type { BoxClass } from '#shared/box-class.ts';
import type { Clock } from '#shared/clock.ts';
import { EngineError } from '#shared/faults.ts';
import type { Logger } from '#shared/log.ts';
import { type Tool, type ToolProof, type ToolStore, versionIn, wantedOf } from '#shared/tools.ts';
import type { ContainerView } from '../box/observed.ts';
import type { BoxRuntime } from '../runtime/port.ts';

/** A tool that only tells its version takes less. */
const toolMs = 15_000;
/** After a box went, or the engine did not answer, while its tools were tried. */
const retryMs = 60_000;

/**
 * Proves that the image of a class has the tools which the class promises: once for each image, by running them in the first box
 * of it that is ready. Nobody waits for it, and no box is kept from its user by it: what is missing is shown.
 *
 * INVARIANT: one proof of a class at a time, and none of a box that is not as it would be made now.
 */
export class ToolProofs {
  private readonly runtime: Pick<BoxRuntime, 'runTool'>;
  private readonly store: ToolStore;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly token: string;
  private readonly signal: AbortSignal;
  /** by class: what was proved of it, or is being proved */
  private readonly seen = new Map<string, string>();

  constructor(options: {
    runtime: Pick<BoxRuntime, 'runTool'>;
    store: ToolStore;
    clock: Clock;
    log: Logger;
    token: string;
    signal: AbortSignal;
  }) {
    this.runtime = options.runtime;
    this.store = options.store;
    this.clock = options.clock;
    this.log = options.log;
    this.token = options.token;
    this.signal = options.signal;
  }

  /** A box of this class is ready, of the image that its class stands for now. Cheap where that was seen before. */
  look(boxClass: BoxClass, box: ContainerView): void {
    const { name, tools } = boxClass;
    if (tools.length === 0) return;
    const what = `${box.imageId} ${wantedOf(tools)}`;
    if (this.seen.get(name) === what) return;
    this.seen.set(name, what);
    void this.prove(boxClass, box).catch((error: unknown) => {
      if (this.signal.aborted) return;
      this.log.warn({ class: name, error }, 'the tools of a class could not be tried; trying again in the next box');
      this.clock.after(retryMs, () => {
        if (this.seen.get(name) === what) this.seen.delete(name);
      });
    });
  }

  private async prove({ name, tools }: BoxClass, box: ContainerView): Promise<void> {
    const { id, imageId } = box;
    const wanted = wantedOf(tools);
    const known = (await this.store.read()).find((report) => report.class === name);
    const isKnown = known?.imageId === imageId && known.wanted === wanted;
    // What is missing may only have been too slow, on a busy machine.
    if (isKnown && known.tools.every(({ isThere }) => isThere)) return;
    const proofs: ToolProof[] = [];
    for (const tool of tools) proofs.push(await this.tried(tool, id));
    this.signal.throwIfAborted();
    const report = { class: name, imageId, wanted, tools: proofs };
    if (!(await this.store.report(this.token, report))) return;
    const missing = proofs.filter(({ isThere }) => !isThere).map((proof) => proof.name);
    if (missing.length === 0)
      this.log.info({ class: name, imageId }, 'the image has all tools that its class promises');
    else this.log.warn({ class: name, imageId, missing }, 'the image lacks tools that its class promises');
  }

  private async tried({ name, command, version }: Tool, id: string): Promise<ToolProof> {
    const absent = (message: string): ToolProof => ({ name, isThere: false, version: '', message });
    try {
      const { exitCode, output } = await this.runtime.runTool(id, { command, timeoutMs: toolMs }, this.signal);
      if (exitCode !== 0) return absent(`${command.join(' ')} ended with ${exitCode}: ${firstLine(output)}`);
      const found = versionIn(version, output);
      if (found === null) return absent(`${command.join(' ')} prints no /${version}/: ${firstLine(output)}`);
      return { name, isThere: true, version: found, message: '' };
    } catch (error) {
      // The box went, or the engine is not there: that says nothing of the tool.
      const kind = error instanceof EngineError ? error.fault.kind : null;
      if (kind !== 'timeout' && kind !== 'invalid' && kind !== 'failed') throw error;
      return absent(error instanceof EngineError ? error.fault.message : '');
    }
  }
}

function firstLine(output: string): string {
  return output.trim().split(/[\r\n]/, 1)[0] ?? '';
}
