import type { BoxStore } from '#shared/box-store.ts';
import { Checkout } from '#shared/checkout.ts';
import { LeaseId, type UserName } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import { storeIsSilent } from '../ending.ts';
import type { Refusal } from '../refusal.ts';

/** Where a command is to start, as its request says it: a checkout itself, or the lease that has one. */
export interface AskedCheckout {
  readonly checkout: Checkout | null;
  readonly lease: LeaseId | null;
}

const names = ['spoon', 'branch', 'clone', 'ref', 'depth', 'credential'] as const;

export function checkoutAsked(query: URLSearchParams): AskedCheckout | Refusal {
  const lease = LeaseId.safeParse(query.get('lease'));
  if (query.has('lease') && !lease.success) {
    return { code: 'parameter-refused', detail: `lease: ${lease.error.issues[0]?.message ?? 'is refused'}` };
  }
  const asked = { checkout: null, lease: lease.data ?? null };
  if (!names.some((name) => query.has(name))) return asked;
  const depth = query.get('depth');
  const clone = { url: query.get('clone'), ...given(query, 'ref'), ...given(query, 'credential') };
  const parsed = Checkout.safeParse({
    spoon: query.get('spoon'),
    branch: query.get('branch'),
    ...(['clone', 'ref', 'depth', 'credential'].some((name) => query.has(name))
      ? { clone: depth === null ? clone : { ...clone, depth: /^\d{1,9}$/.test(depth) ? Number(depth) : depth } }
      : {}),
  });
  if (parsed.success) return { ...asked, checkout: parsed.data };
  const [issue] = parsed.error.issues;
  const at = issue?.path.at(-1) === 'url' ? 'clone' : String(issue?.path.at(-1) ?? 'checkout');
  return { code: 'parameter-refused', detail: `${at}: ${issue?.message ?? 'is refused'}` };
}

/**
 * The checkout of a request: what it says itself, then that of the lease, then that of the token. A lease that is not live is a
 * refusal, because the command would start elsewhere. Throws an Ending where Redis has to be asked and does not answer.
 */
export async function checkoutOf(
  { store, log }: { readonly store: BoxStore; readonly log: Logger },
  user: UserName,
  asked: AskedCheckout,
  ofToken: Checkout | null,
): Promise<{ checkout: Checkout | null } | Refusal> {
  const { lease: id } = asked;
  if (asked.checkout !== null || id === null) return { checkout: asked.checkout ?? ofToken };
  try {
    const lease = (await store.read(user)).leases.find((one) => one.id === id);
    if (lease) return { checkout: lease.checkout ?? ofToken };
  } catch (error) {
    log.warn({ user, error }, 'the lease of a command could not be looked up: Redis does not answer');
    throw storeIsSilent();
  }
  return { code: 'lease-unknown', detail: `${user} has no live lease ${id}: take it again` };
}

function given(query: URLSearchParams, name: string): Record<string, string> {
  const text = query.get(name);
  return text === null ? {} : { [name]: text };
}
