export {
  type CallOptions,
  type EntryFilter,
  LedgerClient,
  type NewAccount,
  newIdempotencyKey,
  type PaymentFilter,
} from './client.ts';
export type { LedgerClientOptions } from './connection.ts';
export * from './errors.ts';
export type {
  AuthorizedPayment,
  Balance,
  LedgerAccount,
  LedgerEntry,
  PaymentRequest,
  StoredPayment,
} from './messages.ts';
