import { expect, test } from 'vitest';
import {
  afterAsking,
  type Asking,
  type AskingEvent,
  askingNothing,
} from '../../controller/console/src/terminal/asking.ts';

const copies = (text: string): AskingEvent => ({ type: 'asked', asks: { is: 'copy', text } });
const opens = (url: string): AskingEvent => ({ type: 'asked', asks: { is: 'open', url } });

function after(...events: readonly AskingEvent[]): Asking {
  return events.reduce(afterAsking, askingNothing);
}

test('a program that wants to copy is told of in a line, and asked about only when the person looks', () => {
  expect(after(copies('a'))).toEqual({ wanted: { is: 'copy', text: 'a' }, decided: null, isMuted: false });
  expect(after(copies('a'), { type: 'looked' }).decided).toEqual({ is: 'copy', text: 'a' });
  expect(after(copies('a'), copies('b'), { type: 'looked' }).decided).toEqual({ is: 'copy', text: 'b' });
});

test('what is decided on is not swapped under the hand, by no copy and by no link', () => {
  const { decided } = after(copies('a'), { type: 'looked' }, copies('rm -rf /'), opens('https://b.example'), {
    type: 'looked',
  });
  expect(decided).toEqual({ is: 'copy', text: 'a' });
});

test('after a no, a program asks as often as it likes: nothing is said until the person types', () => {
  const no: AskingEvent = { type: 'answered', yes: false };
  for (const said of [[no], [{ type: 'looked' }, no]] satisfies AskingEvent[][]) {
    const muted = [copies('a'), ...said, copies('b'), copies('c')];
    expect(after(...muted).wanted).toBeNull();
    expect(after(...muted, { type: 'typed' }, copies('d')).wanted).toEqual({ is: 'copy', text: 'd' });
  }
  const yes: AskingEvent = { type: 'answered', yes: true };
  expect(after(copies('a'), { type: 'looked' }, yes, copies('b')).wanted).toEqual({ is: 'copy', text: 'b' });
});

test('a link that the person clicked is asked about at once, and a no to it silences no program', () => {
  expect(after(opens('https://a.example')).decided).toEqual({ is: 'open', url: 'https://a.example' });
  const left = after(copies('a'), opens('https://a.example'), { type: 'answered', yes: false });
  expect(left).toEqual({ wanted: { is: 'copy', text: 'a' }, decided: null, isMuted: false });
});
