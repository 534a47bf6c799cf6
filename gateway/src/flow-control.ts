/**
 * How far one socket is behind, and so whether the terminal has to wait for it. Two measures: bytes that the client has not
 * acknowledged (only with the protocol; without acks xterm.js takes everything and drowns), and bytes that this process
 * holds because the connection is slow.
 *
 * INVARIANT: once full, it stays full until both measures are below their low marks.
 */
export class FlowControl {
  readonly #marks: FlowMarks;
  #unackedBytes = 0;
  #full = false;

  constructor(marks: FlowMarks) {
    this.#marks = marks;
  }

  sent(bytes: number): void {
    this.#unackedBytes += bytes;
  }

  /** False: more than was sent. */
  ack(bytes: number): boolean {
    if (bytes > this.#unackedBytes) return false;
    this.#unackedBytes -= bytes;
    return true;
  }

  /**
   * `acksFlow` is false while the socket's input is held back: its acks are then stuck behind it, and waiting for them
   * could wait for ever (a shell that reads no input because nobody takes its output).
   */
  isFull(bufferedBytes: number, acksFlow: boolean): boolean {
    const { ack, buffered } = this.#marks;
    const unacked = ack !== null && acksFlow ? this.#unackedBytes : 0;
    const ackMark = this.#full ? (ack?.lowBytes ?? 0) : (ack?.highBytes ?? 0);
    const bufferedMark = this.#full ? buffered.lowBytes : buffered.highBytes;
    this.#full = unacked > ackMark || bufferedBytes > bufferedMark;
    return this.#full;
  }
}

export interface FlowMarks {
  /** null: this client does not acknowledge */
  readonly ack: Marks | null;
  readonly buffered: Marks;
}

interface Marks {
  readonly highBytes: number;
  readonly lowBytes: number;
}
