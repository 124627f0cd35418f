export type { Balance, BalanceSnapshot, LedgerAccount, LedgerEntry } from './account-messages.ts';
export type {
  AccountChange,
  AccountFilter,
  AccountUpdate,
  EntryFilter,
  FreezeChange,
  NewAccount,
  SnapshotPoint,
} from './account-requests.ts';
export type { BatchItem, BatchRequest, CompletedBatch } from './batches.ts';
export * from './call-errors.ts';
export type { CallOptions } from './calls.ts';
export { LedgerClient, newIdempotencyKey } from './client.ts';
export type { LedgerClientOptions } from './connection.ts';
export * from './errors.ts';
export type {
  AuthorizedPayment,
  CaptureRequest,
  CompletedAction,
  Decline,
  HoldRequest,
  PaymentRequest,
  RefundRequest,
  StoredAction,
  StoredPayment,
  VoidRequest,
} from './payment-messages.ts';
export type { PaymentFilter } from './payment-requests.ts';
