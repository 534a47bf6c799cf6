/** What the page shows; it is in the fragment, so that a reload and a link show the same. */
export type Route =
  | { readonly at: 'boxes' }
  | { readonly at: 'box'; readonly user: string }
  | {
      readonly at: 'terminal';
      readonly user: string;
      /** null = a new one */
      readonly session: string | null;
      readonly readOnly: boolean;
    }
  | { readonly at: 'reconciler' };

export const boxesRoute: Route = { at: 'boxes' };

/** Whatever is no route shows the boxes. */
export function parseRoute(fragment: string): Route {
  const [path = '', query = ''] = fragment.replace(/^#/, '').split('?');
  const [, page, name] = path.split('/');
  const user = decoded(name);
  if (page === 'reconciler') return { at: 'reconciler' };
  if (page === 'boxes' && user !== '') return { at: 'box', user };
  if (page === 'terminal' && user !== '') {
    const params = new URLSearchParams(query);
    return { at: 'terminal', user, session: params.get('session'), readOnly: params.get('mode') === 'ro' };
  }
  return boxesRoute;
}

export function hrefOf(route: Route): string {
  switch (route.at) {
    case 'boxes':
      return '#/boxes';
    case 'box':
      return `#/boxes/${encodeURIComponent(route.user)}`;
    case 'reconciler':
      return '#/reconciler';
    case 'terminal': {
      const params = new URLSearchParams();
      if (route.session !== null) params.set('session', route.session);
      if (route.readOnly) params.set('mode', 'ro');
      const query = params.size === 0 ? '' : `?${params}`;
      return `#/terminal/${encodeURIComponent(route.user)}${query}`;
    }
  }
}

/** A broken percent-encoding names nobody. */
function decoded(part: string | undefined): string {
  try {
    return decodeURIComponent(part ?? '');
  } catch {
    return '';
  }
}
