import { createStore, type Store } from '../store.ts';

/** `auto` = as the system has it. */
export type Theme = 'auto' | 'light' | 'dark';

const order: readonly Theme[] = ['auto', 'light', 'dark'];
const storedAs = 'spoonbox-theme';

export const theme: Store<Theme> = createStore<Theme>(stored());
show(theme.get());

export function nextTheme(): void {
  const next = order[(order.indexOf(theme.get()) + 1) % order.length] ?? 'auto';
  theme.set(next);
  show(next);
  localStorage.setItem(storedAs, next);
}

export function isDark(): boolean {
  const chosen = theme.get();
  return chosen === 'auto' ? matchMedia('(prefers-color-scheme: dark)').matches : chosen === 'dark';
}

/** Calls back whenever light and dark may have changed. */
export function onThemeChange(listener: () => void): () => void {
  const system = matchMedia('(prefers-color-scheme: dark)');
  const stop = theme.subscribe(listener);
  system.addEventListener('change', listener);
  return () => {
    stop();
    system.removeEventListener('change', listener);
  };
}

function show(chosen: Theme): void {
  if (chosen === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}

function stored(): Theme {
  const value = localStorage.getItem(storedAs);
  return order.find((known) => known === value) ?? 'auto';
}
