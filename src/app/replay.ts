import type { AccountChange } from './domain/account-change.ts';
import { type AccountEvent, accountChanged } from './domain/account-event.ts';
import { actionDeclined, actionTaken, type JsonObject, type PaymentEvent } from './domain/event.ts';
import type { LedgerEntry } from './domain/ledger.ts';
import type { Action } from './domain/payment.ts';

/** What to send again. */
export type ReplayRange =
  /** Actions on payments and changes of accounts whose calls came in between the two, to excluded. */
  | { readonly kind: 'TIME'; readonly from: Date; readonly to: Date }
  /** Changes of the account, and actions on payments that it has a ledger entry of. */
  | { readonly kind: 'ACCOUNT'; readonly accountId: string }
  /** All actions of one payment. */
  | { readonly kind: 'PAYMENT'; readonly paymentId: string };

export interface RecordedAction {
  readonly action: Action;
  /** Of its two accounts; the payer's at least, unless it was declined. */
  readonly payer?: LedgerEntry | undefined;
  readonly payee?: LedgerEntry | undefined;
  /** Where the next page begins. */
  readonly cursor: string;
}

export interface PaymentHistory {
  /**
   * The next actions of the range: a time range by action id, an account by its version, a payment in the order in which
   * they took effect. Consumers go by versions, as ids of replicas whose clocks differ may come in another order.
   */
  page(range: ReplayRange, after: string | undefined, limit: number): Promise<RecordedAction[]>;
}

export interface RecordedAccountChange {
  readonly change: AccountChange;
  /** Where the next page begins. */
  readonly cursor: string;
}

export interface AccountHistory {
  /** The next changes of the range, a time range by change id, an account by its revision. */
  page(range: ReplayRange, after: string | undefined, limit: number): Promise<RecordedAccountChange[]>;
}

/** Everything that has events. */
export interface History {
  readonly accounts: AccountHistory;
  readonly payments: PaymentHistory;
}

/** An event made from the ledger, with the id it had. */
export interface PastEvent {
  readonly eventId: string;
  readonly type: string;
  /** Of the Kafka record: the payer, or the account. */
  readonly key: string;
  /** What it is about: a payment, or an account. */
  readonly subject: string;
  readonly createdAt: Date;
  readonly payload: JsonObject;
}

/** Where a replay puts events. */
export interface ReplayOutbox {
  /** How many events are in the outbox. */
  pending(): Promise<number>;
  /** Adds events in their order, marked as replayed, in one transaction. */
  append(events: readonly PastEvent[]): Promise<void>;
}

/** Headers of an event that is sent again. The one without ce_ is for consumers of before: it goes in 0.3.0. */
export const REPLAYED = { ce_replayed: 'true', replayed: 'true' };

const PAGE = 500;
/** With more pending events than this, those of new payments would be late because of a replay. */
const MOST_PENDING = 5_000;
const WAIT_MS = 200;

/**
 * Sends events again: makes them from the ledger, with the ids they had, and puts them
 * into the outbox for the relay, those of accounts before those of payments. Returns how
 * many. Stopped half-way, it may be run again: consumers drop by id what they have seen.
 * Throws if Postgres is unreachable.
 */
export async function replay(
  history: History,
  outbox: ReplayOutbox,
  range: ReplayRange,
  onProgress: (replayed: number) => void,
): Promise<number> {
  let replayed = 0;
  for await (const events of recordedEvents(history, range)) {
    while ((await outbox.pending()) > MOST_PENDING) await new Promise((resume) => setTimeout(resume, WAIT_MS));
    await outbox.append(events);
    replayed += events.length;
    onProgress(replayed);
  }
  return replayed;
}

/** The events of the past, some at a time: of changes of accounts, then of payments. */
export async function* recordedEvents(history: History, range: ReplayRange): AsyncGenerator<PastEvent[]> {
  for await (const page of pages((after) => history.accounts.page(range, after, PAGE))) {
    yield page.map(({ change }) => ofAccount(accountChanged(change)));
  }
  for await (const page of pages((after) => history.payments.page(range, after, PAGE))) {
    yield page.map((recorded) => ofPayment(toEvent(recorded), recorded.action.paymentId));
  }
}

async function* pages<Recorded extends { readonly cursor: string }>(
  next: (after: string | undefined) => Promise<Recorded[]>,
): AsyncGenerator<Recorded[]> {
  let cursor: string | undefined;
  for (;;) {
    const page = await next(cursor);
    if (page.length > 0) yield page;
    if (page.length < PAGE) return;
    cursor = page.at(-1)?.cursor;
  }
}

function ofAccount({ eventId, type, accountId, createdAt, payload }: AccountEvent): PastEvent {
  return { eventId, type, key: accountId, subject: accountId, createdAt, payload };
}

function ofPayment({ eventId, type, payerAccountId, createdAt, payload }: PaymentEvent, paymentId: string): PastEvent {
  return { eventId, type, key: payerAccountId, subject: paymentId, createdAt, payload };
}

function toEvent({ action, payer, payee }: RecordedAction): PaymentEvent {
  if (action.verdict.status === 'DECLINED') return actionDeclined(action, action.verdict.decline);
  if (payer === undefined || (action.verdict.payeeVersion !== undefined && payee === undefined)) {
    throw new Error(`Bug! Action ${action.actionId} lacks a ledger entry`);
  }
  return actionTaken(action, { payer, payee });
}
