import type { BoxView } from '#shared/api-schemas.ts';
import type { ApiClient } from '../../sdk/api-client.ts';

/** One cell a column; wide ones follow the others. */
export interface Row {
  readonly cells: readonly string[];
  readonly wide: readonly string[];
}

export interface Wanted {
  /** null = of all users */
  readonly user: string | null;
  /** null = all; as the API's `selector` */
  readonly selector: string | null;
}

/** A thing as it is shown: its row in a table, its name, and all of it for programs. */
export interface Listed {
  /** `box/alice` */
  readonly name: string;
  readonly row: Row;
  readonly value: unknown;
  /** of what can be watched: what is told when it is not there any more */
  readonly gone?: { readonly row: Row; readonly value: unknown };
}

/** A kind of thing that `get` lists. */
export interface Kind {
  /** as typed; the first is the one that is shown */
  readonly names: readonly string[];
  readonly header: Row;
  /** things of users: a user can be named, boxes can be selected */
  readonly ofUsers: boolean;
  /** what is said where there is none */
  readonly none: string;
  /** Of what can be watched: what of this kind a box has. */
  ofBox?(box: BoxView): readonly Listed[];
  list(client: ApiClient, wanted: Wanted, signal: AbortSignal): Promise<readonly Listed[]>;
}
