import { Duplex } from 'node:stream';
import type { BoxCommands, RunningCommand, StartCommand } from '../../gateway/src/exec/command-port.ts';
import type { ProcessState } from '../../gateway/src/exec/port.ts';
import { channel } from '#shared/exec-protocol.ts';

/** A command of the tests: it says what is pushed, and reads its input or does not. */
export class FakeCommand implements RunningCommand {
  readonly execId: string;
  readonly start: StartCommand;
  readonly stream: Duplex;
  now: ProcessState = { running: true, exitCode: null, boxRuns: true };
  looks = 0;
  ends = 0;

  constructor(execId: string, start: StartCommand, { reads }: { reads: boolean }) {
    this.execId = execId;
    this.start = start;
    this.stream = new Duplex({
      read: () => {},
      write: (_chunk, _encoding, done) => {
        if (reads) done();
      },
      highWaterMark: 64 * 1024,
    });
  }

  says(bytes: Buffer): void {
    const header = Buffer.alloc(8);
    header[0] = channel.stdout;
    header.writeUInt32BE(bytes.length, 4);
    this.stream.push(Buffer.concat([header, bytes]));
  }

  exits(exitCode: number): void {
    this.now = { running: false, exitCode, boxRuns: true };
  }

  state(): Promise<ProcessState> {
    this.looks += 1;
    return Promise.resolve(this.now);
  }

  end(): Promise<void> {
    this.ends += 1;
    this.stream.destroy();
    return Promise.resolve();
  }
}

export function createFakeCommands(how = { reads: true }): BoxCommands & { readonly started: FakeCommand[] } {
  const started: FakeCommand[] = [];
  return {
    started,
    start(start) {
      const command = new FakeCommand(`exec-${started.length + 1}`, start, how);
      started.push(command);
      return Promise.resolve(command);
    },
  };
}
