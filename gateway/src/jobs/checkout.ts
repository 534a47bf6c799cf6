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

const ofClone = ['ref', 'depth', 'credential'] as const;
const names = ['spoon', 'branch', 'clone', ...ofClone] as const;

export function checkoutAsked(query: URLSearchParams): AskedCheckout | Refusal {
  const lease = LeaseId.safeParse(query.get('lease'));
  if (query.has('lease') && !lease.success) return refused(`lease: ${lease.error.issues[0]?.message ?? 'is refused'}`);
  const asked = { checkout: null, lease: lease.data ?? null };
  if (!names.some((name) => query.has(name))) return asked;
  if (!query.has('spoon') || !query.has('branch')) return refused('a checkout is named by both spoon and branch');
  if (!query.has('clone') && ofClone.some((name) => query.has(name))) {
    return refused('ref, depth and credential are of a clone: name its URL as clone');
  }
  const given = Object.fromEntries(names.flatMap((name) => (query.has(name) ? [[name, query.get(name)]] : [])));
  const { spoon, branch, clone: url, depth, ...rest } = given;
  // What is no number is refused as such.
  const counted = depth === undefined ? {} : { depth: /^\d+$/.test(depth ?? '') ? Number(depth) : depth };
  const parsed = Checkout.safeParse({
    spoon,
    branch,
    ...(url !== undefined && { clone: { url, ...counted, ...rest } }),
  });
  if (parsed.success) return { ...asked, checkout: parsed.data };
  const [issue] = parsed.error.issues;
  const at = issue?.path.at(-1) === 'url' ? 'clone' : String(issue?.path.at(-1) ?? 'checkout');
  return refused(`${at}: ${issue?.message ?? 'is refused'}`);
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

function refused(detail: string): Refusal {
  return { code: 'parameter-refused', detail };
}
