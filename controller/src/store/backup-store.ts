import { z } from 'zod';
import { maxApiTokens } from '#shared/access-store.ts';
import { BackedToken, type BackupRecord, type RestoreResult, UserRecord } from '#shared/backup.ts';
import { maxLeasesPerUser, userScriptKeys } from '#shared/box-store.ts';
import { everybody, type Keys, type UserName } from '#shared/identity.ts';
import { parseJson } from '#shared/json.ts';
import type { RedisPort } from '#shared/redis-port.ts';
import { orderEntry, ordersOf } from '#shared/vault-orders.ts';

export interface RestoreHow {
  /** who restores, for events */
  readonly by: string;
  /** Redis TIME in ms: what was set or ended later is newer */
  readonly takenAt: number;
  readonly overwrite: boolean;
  readonly dryRun: boolean;
}

type Kind<Name extends BackupRecord['kind']> = Extract<BackupRecord, { kind: Name }>;
type Told = Omit<RestoreResult, 'of'>;

/**
 * What of Redis a backup keeps, and how it comes back. Every method is one script: a restore that was interrupted is repeated, and
 * finds what is done. All reject when Redis does not answer.
 */
export interface BackupStore {
  /** What is damaged there becomes a record that says so, beside what can be read. */
  user(user: UserName): Promise<BackupRecord[]>;
  /** The tokens of the API by their hashes, without those that have expired by `now`. */
  tokens(now: number): Promise<BackupRecord[]>;
  restoreUser(record: UserRecord, how: RestoreHow): Promise<Told[]>;
  /** In the order of the record. */
  restoreTokens(record: Kind<'tokens'>, how: RestoreHow): Promise<Told[]>;
  restoreModes(record: Kind<'reconciler'>, how: RestoreHow): Promise<Told[]>;
}

export function createBackupStore({ redis, keys }: { redis: RedisPort; keys: Keys }): BackupStore {
  const flag = (is: boolean): string => (is ? '1' : '0');

  return {
    async user(user) {
      const args = [user, keys.wakeChannel, keys.statusChannel];
      const reply = ReadReply.parse(await redis.run('read-backup', userScriptKeys(keys, user), args));
      const [, desiredFields, pinLines, wishes, revision, vaultFields, orderFields] = reply;
      const desired = Object.fromEntries(pairsOf(desiredFields));
      const damaged: BackupRecord[] = [];
      const read = <Schema extends z.ZodType>(schema: Schema, value: unknown, what: string): z.output<Schema>[] => {
        const parsed = schema.safeParse(value);
        if (parsed.success) return [parsed.data];
        damaged.push({ kind: 'damaged', of: `user ${user}: ${what}`, why: whyOf(parsed.error) });
        return [];
      };
      const { shape } = UserRecord;
      const state = {
        ...desired,
        generation: Number(desired.generation),
        lastActivityAt: Number(desired.lastActivityAt ?? 0),
        lastActivityCause: desired.lastActivityCause ?? '',
      };
      const known = 'generation' in desired ? read(shape.desired, state, 'its desired state') : [];
      const pins = pinLines.flatMap((line) => read(shape.pins.element, parseJson(line), 'a pin'));
      const entry = shape.vault.unwrap().shape.entries.element;
      const entries = pairsOf(vaultFields)
        .filter(([field]) => field !== 'revision')
        .flatMap((pair) => read(entry, pair, `the entry ${pair[0]} of its vault`))
        .toSorted(([a], [b]) => (a < b ? -1 : 1));
      const order = shape.vaultOrders.unwrap().element;
      const orders = ordersOf(orderFields).flatMap((each) => read(order, each, 'what is asked of its home'));
      const [wanted = null] = known;
      const record: UserRecord = {
        ...{ kind: 'user', user, desired: wanted, wishes: z.array(shape.wishes.element).parse(wishes) },
        pins: wanted === null ? [] : pins,
        vault: entries.length === 0 ? null : { revision: Number(revision), entries },
        vaultOrders: orders,
      };
      return [record, ...damaged];
    },
    async tokens(now) {
      const lines = z.array(z.string()).parse(await redis.run('list-tokens', [keys.apiTokens], []));
      const damaged: BackupRecord[] = [];
      const items = lines.flatMap((line) => {
        const parsed = BackedToken.safeParse(parseJson(line));
        if (parsed.success)
          return parsed.data.expiresAt !== undefined && parsed.data.expiresAt <= now ? [] : parsed.data;
        damaged.push({ kind: 'damaged', of: 'a token of the API', why: whyOf(parsed.error) });
        return [];
      });
      return [{ kind: 'tokens', items }, ...damaged];
    },
    async restoreUser({ user, desired, wishes, pins, vault, vaultOrders }, { by, takenAt, overwrite, dryRun }) {
      const how = [by, takenAt, flag(overwrite), flag(dryRun), maxLeasesPerUser];
      const wanted = desired === null ? '' : JSON.stringify({ class: desired.class, generation: desired.generation });
      const args = [user, keys.wakeChannel, keys.statusChannel, ...how, wanted, JSON.stringify(pins)];
      const orders = JSON.stringify(vaultOrders.map(orderEntry));
      args.push(vault?.revision ?? 0, orders, ...(vault?.entries.flat() ?? []));
      const reply = Flat.parse(await redis.run('restore-user', userScriptKeys(keys, user), args));
      if (reply[0] === 'refused') {
        return [{ part: '', outcome: 'kept', why: `${reply[2] ?? ''} is known here, which differs only by case` }];
      }
      const told: Told[] = [];
      for (let i = 0; i + 2 < reply.length; i += 3) {
        told.push({ part: reply[i] ?? '', ...outcomeOf(reply[i + 1], reply[i + 2]) });
      }
      for (const wish of wishes) {
        const why = `it was asked for when the backup was taken, and is not asked for again: \`spoonbox ${wish} ${user}\` does`;
        told.push({ part: wish, outcome: 'note', why });
      }
      return told;
    },
    async restoreTokens({ items }, { takenAt, overwrite, dryRun }) {
      const args = [takenAt, flag(overwrite), flag(dryRun), maxApiTokens, ...items.map((item) => JSON.stringify(item))];
      const reply = Flat.parse(await redis.run('restore-tokens', [keys.apiTokens], args));
      return items.map(({ id, name }, at) => {
        return { part: `${id} (${name})`, ...outcomeOf(reply[2 * at], reply[2 * at + 1]) };
      });
    },
    async restoreModes({ mode, rollout }, { takenAt, overwrite, dryRun }) {
      const how = [takenAt, flag(overwrite), flag(dryRun)];
      const args = [keys.wakeChannel, everybody, ...how, JSON.stringify(mode), JSON.stringify(rollout)];
      const reply = Flat.parse(await redis.run('restore-modes', [keys.mode, keys.rollout], args));
      return [
        { part: 'mode', ...outcomeOf(reply[0], reply[1]) },
        { part: 'rollout', ...outcomeOf(reply[2], reply[3]) },
      ];
    },
  };
}

const Flat = z.array(z.string());
const ReadReply = z.tuple([z.string(), Flat, Flat, Flat, z.string().regex(/^\d{1,16}$/), Flat, Flat]);
const Outcome = z.enum(['restored', 'same', 'kept', 'ended']);

function outcomeOf(outcome: string | undefined, why = ''): Pick<Told, 'outcome' | 'why'> {
  return { outcome: Outcome.parse(outcome), why };
}

function pairsOf(flat: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) pairs.push([flat[i] ?? '', flat[i + 1] ?? '']);
  return pairs;
}

/** Of the first thing that is wrong; never the value. */
export function whyOf(error: z.ZodError): string {
  const [issue] = error.issues;
  return issue === undefined ? 'it is not as agreed' : `${issue.path.join('.') || 'it'}: ${issue.message}`;
}
