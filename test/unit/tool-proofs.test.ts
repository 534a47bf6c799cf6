import { expect, test } from 'vitest';
import { BoxClass } from '#shared/box-class.ts';
import { EngineError, type FaultKind } from '#shared/faults.ts';
import { createLogger } from '#shared/log.ts';
import { type ToolReport, wantedOf } from '#shared/tools.ts';
import { ToolProofs } from '../../controller/src/reconcile/tool-proofs.ts';
import { boxClass, containerOf, imageId } from '../support/box-facts.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';

const tools = [
  { name: 'codex', command: ['codex', '--version'], version: 'codex-cli (\\S+)' },
  { name: 'eza', command: ['eza', '--version'] },
];
const promising: BoxClass = { ...boxClass, tools };
const box = containerOf();

type Answer = { exitCode: number; output: string } | FaultKind;

function worldOf(answers: Readonly<Record<string, Answer>>, stored: ToolReport[] = []) {
  const clock = new FakeClock();
  const tried: string[] = [];
  const reports: ToolReport[] = [];
  const state = { answers, leads: true };
  const proofs = new ToolProofs({
    runtime: {
      async runTool(id, { command }) {
        tried.push(`${command.join(' ')} in ${id}`);
        const answer = state.answers[command[0] ?? ''] ?? { exitCode: 0, output: '' };
        if (typeof answer === 'object') return answer;
        throw new EngineError({ operation: 'runTool', kind: answer, status: null, message: `it is ${answer}` });
      },
    },
    store: {
      read: async () => stored,
      report: async (_token, report) => {
        if (state.leads) reports.push(report);
        return state.leads;
      },
    },
    clock,
    log: createLogger({ name: 'test', level: 'silent' }),
    token: 'token',
    signal: new AbortController().signal,
  });
  return { proofs, tried, reports, clock, state };
}

test('the tools of a class are run once for each image, and what they tell of their version is kept', async () => {
  const { proofs, tried, reports } = worldOf({ codex: { exitCode: 0, output: 'codex-cli 0.142.0\n' } });
  for (const id of ['box-1', 'box-2', 'box-3']) proofs.look(promising, containerOf({ id }));
  await settled();
  expect(tried).toEqual(['codex --version in box-1', 'eza --version in box-1']);
  expect(reports).toEqual([
    {
      ...{ class: 'default', imageId, wanted: wantedOf(tools) },
      tools: [
        { name: 'codex', isThere: true, version: '0.142.0', message: '' },
        { name: 'eza', isThere: true, version: '', message: '' },
      ],
    },
  ]);
  proofs.look(promising, containerOf({ imageId: 'sha256:newer' }));
  await settled();
  expect(tried.length).toBe(4);
});

test.each([
  [
    'ends with a failure',
    { exitCode: 127, output: 'sh: eza: not found\nmore' },
    'eza --version ended with 127: sh: eza: not found',
  ],
  ['cannot be run at all', 'invalid', 'it is invalid'],
  ['does not end', 'timeout', 'it is timeout'],
] as const)('a tool that %s is missing, and the others are tried', async (_what, answer, message) => {
  const { proofs, reports } = worldOf({ eza: answer, codex: { exitCode: 0, output: 'codex-cli 1' } });
  proofs.look(promising, box);
  await settled();
  expect(reports[0]?.tools[0]?.isThere).toBe(true);
  expect(reports[0]?.tools[1]).toEqual({ name: 'eza', isThere: false, version: '', message });
});

test('a tool that does not tell the version which its class wants is missing', async () => {
  const { proofs, reports } = worldOf({ codex: { exitCode: 0, output: 'something else 3' } });
  proofs.look(promising, box);
  await settled();
  const message = 'codex --version prints no /codex-cli (\\S+)/: something else 3';
  expect(reports[0]?.tools[0]).toEqual({ name: 'codex', isThere: false, version: '', message });
});

test('a box that goes meanwhile says nothing of its tools: the next one is asked, a while later', async () => {
  const { proofs, reports, tried, clock, state } = worldOf({ codex: 'conflict' });
  proofs.look(promising, box);
  await settled();
  expect(reports).toEqual([]);
  state.answers = { codex: { exitCode: 0, output: 'codex-cli 1' } };
  proofs.look(promising, box);
  expect(tried.length).toBe(1);
  await clock.advance(60_000);
  proofs.look(promising, box);
  await settled();
  expect(reports.length).toBe(1);
});

test('what another leader has proved of this image and this list is not proved again', async () => {
  const known = { class: 'default', imageId, wanted: wantedOf(tools), tools: [] };
  const again = worldOf({}, [known]);
  again.proofs.look(promising, box);
  const other = worldOf({}, [{ ...known, wanted: 'another list' }]);
  other.proofs.look(promising, box);
  await settled();
  expect(again.tried).toEqual([]);
  expect(other.tried.length).toBe(2);
});

test('what was missing is tried again by the next leader: a busy machine may have been the cause', async () => {
  const missing = { name: 'eza', isThere: false, version: '', message: 'it is timeout' };
  const { proofs, reports } = worldOf({ codex: { exitCode: 0, output: 'codex-cli 1' } }, [
    { class: 'default', imageId, wanted: wantedOf(tools), tools: [missing] },
  ]);
  proofs.look(promising, box);
  await settled();
  expect(reports[0]?.tools.map(({ isThere }) => isThere)).toEqual([true, true]);
});

test('a class that promises nothing is not looked at, and one that promises something odd is refused', () => {
  const { proofs, tried } = worldOf({});
  proofs.look(boxClass, box);
  expect(tried).toEqual([]);
  expect(BoxClass.shape.tools.safeParse([{ name: 'x', command: ['x'], version: '(' }]).success).toBe(false);
  expect(BoxClass.shape.tools.safeParse([{ name: '../x', command: ['x'] }]).success).toBe(false);
});
