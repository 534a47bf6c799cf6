/**
 * What a terminal says by itself when it is asked: its name, its state, where its cursor is, its colours. Keys never look like
 * these, but for F3 with a modifier, which looks like a cursor's position.
 */
const csi = String.raw`\x1b\[(?:[?>=][\d;:]*(?:\$y|[cnRu])|[\d;]*(?:\$y|[cnRtx]))`;
const string = String.raw`\x1b[\]P_^X][^\x07\x1b]*(?:\x07|\x1b\\)`;
const answer = new RegExp(`${csi}|${string}`, 'g');

/** Input without the answers in it. Of a byte that is no ASCII nothing is touched. */
export function withoutAnswers(input: Buffer): Buffer {
  if (!input.includes(0x1b)) return input;
  return Buffer.from(input.toString('latin1').replaceAll(answer, ''), 'latin1');
}
