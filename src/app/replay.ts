import { actionDeclined, actionTaken, type PaymentEvent } from './domain/event.ts';
import type { LedgerEntry } from './domain/ledger.ts';
import type { Action } from './domain/payment.ts';

/** What to send again. */
export type ReplayRange =
  /** Actions whose calls came in between the two, to excluded. */
  | { readonly kind: 'TIME'; readonly from: Date; readonly to: Date }
  /** Actions that the account has a ledger entry of. */
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
  /** The next actions of the range, a time range by action id, an account by its version. */
  page(range: ReplayRange, after: string | undefined, limit: number): Promise<RecordedAction[]>;
}

/** Where a replay puts events. */
export interface ReplayOutbox {
  /** How many events are in the outbox. */
  pending(): Promise<number>;
  /** Adds events in their order, marked as replayed, in one transaction. */
  append(events: readonly PaymentEvent[]): Promise<void>;
}

/** Headers of an event that is sent again. The one without ce_ is for consumers of before: it goes in 0.3.0. */
export const REPLAYED = { ce_replayed: 'true', replayed: 'true' };

const PAGE = 500;
/** With more pending events than this, those of new payments would be late because of a replay. */
const MOST_PENDING = 5_000;
const WAIT_MS = 200;

/**
 * Sends events again: makes them from the ledger, with the ids they had, and puts them
 * into the outbox for the relay. Returns how many. Stopped half-way, it may be run
 * again: consumers drop by id what they have seen. Throws if Postgres is unreachable.
 */
export async function replay(
  history: PaymentHistory,
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

/** The events of past payments, made from the ledger with the ids they had, some at a time. */
export async function* recordedEvents(history: PaymentHistory, range: ReplayRange): AsyncGenerator<PaymentEvent[]> {
  let cursor: string | undefined;
  for (;;) {
    const page = await history.page(range, cursor, PAGE);
    if (page.length > 0) yield page.map(toEvent);
    if (page.length < PAGE) return;
    cursor = page.at(-1)?.cursor;
  }
}

function toEvent({ action, payer, payee }: RecordedAction): PaymentEvent {
  if (action.verdict.status === 'DECLINED') return actionDeclined(action, action.verdict.decline);
  if (payer === undefined || (action.verdict.payeeVersion !== undefined && payee === undefined)) {
    throw new Error(`Bug! Action ${action.actionId} lacks a ledger entry`);
  }
  return actionTaken(action, { payer, payee });
}
