/** The front door of the package: `import { connect } from 'spoonbox'`. */
export { connect, type LeaseWish, type Spoonbox } from '../../controller/sdk/connect.ts';
export type { GivenSettings } from '../../controller/sdk/settings.ts';
export type { BoxProgress, LeasedBox, ReadyOptions } from '../../controller/sdk/leased-box.ts';
export type { Released } from '../../controller/sdk/held-lease.ts';
export type { ExecOptions, ExecResult } from '../../controller/sdk/exec.ts';
export { type ApiAddress, type ApiClient, createApiClient, type WatchEvent } from '../../controller/sdk/api-client.ts';
export {
  ApiRefusal,
  CommandLost,
  InvalidName,
  LeaseLost,
  type LeaseLostReason,
  NoSettings,
  NotReady,
  SpoonboxError,
  TooMuchOutput,
  Unreachable,
} from '../../controller/sdk/errors.ts';
export type { BoxEventView, BoxView, LeaseReply } from '#shared/api-schemas.ts';
