import { VaultHomeView, VaultTaken } from '#shared/vault-home-schemas.ts';
import {
  type DotfileBody,
  DotfileList,
  DotfileView,
  VariableList,
  VariableView,
  VaultChanged,
  type VaultImportBody,
  VaultImported,
  VaultRotated,
  VaultView,
} from '#shared/vault-schemas.ts';
import type { Ask } from './ask.ts';

/** The vaults of users: dotfiles, and the environment of what runs in their boxes. Values are told to admins only. */
export interface VaultClient {
  /** Names, modes and sizes. */
  dotfiles(user: string, signal: AbortSignal): Promise<DotfileList>;
  dotfile(user: string, path: string, signal: AbortSignal): Promise<DotfileView>;
  /** Answers with the vault's new revision; so do the other changes. */
  putDotfile(user: string, path: string, body: DotfileBody, signal: AbortSignal): Promise<number>;
  removeDotfile(user: string, path: string, signal: AbortSignal): Promise<number>;
  /** Names and sizes. */
  variables(user: string, signal: AbortSignal): Promise<VariableList>;
  variable(user: string, name: string, signal: AbortSignal): Promise<string>;
  putVariable(user: string, name: string, value: string, signal: AbortSignal): Promise<number>;
  removeVariable(user: string, name: string, signal: AbortSignal): Promise<number>;
  /** All that it holds; `importVault` takes it as it is. */
  vault(user: string, signal: AbortSignal): Promise<VaultView>;
  importVault(user: string, body: VaultImportBody, signal: AbortSignal): Promise<VaultImported>;
  /** How the vault stands in the home. */
  vaultInHome(user: string, signal: AbortSignal): Promise<VaultHomeView>;
  /** The vault's file in the place of the home's; the revision of the vault with that wish. */
  takeFromVault(user: string, path: string, signal: AbortSignal): Promise<number>;
  /** One part of the rotation of all vaults; `from`: as the part before said, null = the first. */
  rotateVaults(from: string | null, signal: AbortSignal): Promise<VaultRotated>;
}

/** `part`: a name as a part of a URL; refuses what none can carry. */
export function vaultClient(ask: Ask, part: (text: string, what: string) => string): VaultClient {
  const userPath = (user: string): string => `/v1/users/${part(user, 'user name')}`;
  const filePath = (user: string, path: string): string => `${userPath(user)}/dotfiles/${part(path, 'path')}`;
  const variablePath = (user: string, name: string): string => `${userPath(user)}/environment/${part(name, 'name')}`;
  async function change(method: string, path: string, body: unknown, signal: AbortSignal): Promise<number> {
    return (await ask(VaultChanged, method, path, body, signal)).revision;
  }
  return {
    dotfiles: (user, signal) => ask(DotfileList, 'GET', `${userPath(user)}/dotfiles`, undefined, signal),
    dotfile: (user, path, signal) => ask(DotfileView, 'GET', filePath(user, path), undefined, signal),
    putDotfile: (user, path, body, signal) => change('PUT', filePath(user, path), body, signal),
    removeDotfile: (user, path, signal) => change('DELETE', filePath(user, path), undefined, signal),
    variables: (user, signal) => ask(VariableList, 'GET', `${userPath(user)}/environment`, undefined, signal),
    vaultInHome: (user, signal) => ask(VaultHomeView, 'GET', `${userPath(user)}/vault/status`, undefined, signal),
    async takeFromVault(user, path, signal) {
      return (await ask(VaultTaken, 'POST', `${userPath(user)}/vault/take`, { path }, signal)).revision;
    },
    async variable(user, name, signal) {
      return (await ask(VariableView, 'GET', variablePath(user, name), undefined, signal)).value;
    },
    putVariable: (user, name, value, signal) => change('PUT', variablePath(user, name), { value }, signal),
    removeVariable: (user, name, signal) => change('DELETE', variablePath(user, name), undefined, signal),
    vault: (user, signal) => ask(VaultView, 'GET', `${userPath(user)}/vault`, undefined, signal),
    importVault: (user, body, signal) => ask(VaultImported, 'PUT', `${userPath(user)}/vault`, body, signal),
    rotateVaults(from, signal) {
      const query = from === null ? '' : `?${new URLSearchParams({ continue: from })}`;
      return ask(VaultRotated, 'POST', `/v1/vault/rotate${query}`, undefined, signal);
    },
  };
}
