import { createStore, type Store } from '../store.ts';

/** What became of what somebody did here. */
export interface News {
  readonly id: number;
  readonly text: string;
  readonly isProblem: boolean;
}

export const news: Store<readonly News[]> = createStore<readonly News[]>([]);

const keptMost = 4;
const shownMs = 6_000;
/** A problem is read to its end. */
const problemShownMs = 20_000;
let lastId = 0;

export function tell({ text, isProblem }: Omit<News, 'id'>): void {
  lastId += 1;
  const id = lastId;
  news.set([...news.get(), { id, text, isProblem }].slice(-keptMost));
  setTimeout(() => forget(id), isProblem ? problemShownMs : shownMs);
}

export function forget(id: number): void {
  news.set(news.get().filter((item) => item.id !== id));
}
