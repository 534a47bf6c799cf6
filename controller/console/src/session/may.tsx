import type { ReactNode } from 'react';
import { Role } from '#shared/operator-schemas.ts';
import { useStore } from '../store.ts';
import { session } from './session.ts';

/** Roles are written from the least to the most. The API decides; the page only offers no more than that. */
export function useMay(needs: Role): boolean {
  const state = useStore(session);
  return state.is === 'in' && Role.options.indexOf(state.who.role) >= Role.options.indexOf(needs);
}

/** What is offered to this role and those above it. */
export function May({ be, children }: { readonly be: Role; readonly children: ReactNode }) {
  return useMay(be) ? children : null;
}
