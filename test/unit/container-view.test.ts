import { expect, test } from 'vitest';
import { label } from '#shared/identity.ts';
import { viewOfListed } from '../../controller/src/runtime/container-view.ts';

function generationOf(text: string): number | undefined {
  const Labels = { [label.installation]: 'test', [label.role]: 'box', [label.user]: 'alice', [label.generation]: text };
  const listed = { Id: 'c1', Names: ['/spoon-box-alice'], ImageID: 'i1', State: 'running', Created: 1, Labels };
  return viewOfListed(listed, 'test')?.generation;
}

test('a generation that no script would take is as good as none: the status that holds it could not be read back', () => {
  expect(generationOf('1700000000000')).toBe(1_700_000_000_000);
  for (const wrong of ['-5', '1e3', '1.5', 'x', '', '123456789012345']) expect(generationOf(wrong)).toBe(0);
});
