/**
 * What a terminal says by itself when it is asked: its name, its state, where its cursor is, its colours. Keys never look like
 * these, but for F3 with a modifier, which looks like a cursor's position.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control sequences are what is looked for
const answer =
  /\u001b\[(?:[?>=][\d;:]*(?:\$y|[cnRu])|[\d;]*(?:\$y|[cnRtx]))|\u001b[\]P_^X][^\u0007\u001b]*(?:\u0007|\u001b\\)/g;

/** Input without the answers in it. Of a byte that is no ASCII nothing is touched. */
export function withoutAnswers(input: Buffer): Buffer {
  if (!input.includes(0x1b)) return input;
  return Buffer.from(input.toString('latin1').replaceAll(answer, ''), 'latin1');
}
