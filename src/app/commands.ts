import type { CaptureRequest } from './domain/later-actions.ts';
import type { BatchPart, Notes, Payment, PaymentRequest } from './domain/payment.ts';
import type { RefundRequest } from './domain/refund.ts';

/** An idempotency key, which belongs to its caller. */
export interface CallerKey {
  /** The authenticated identity; empty while calls are not authenticated. */
  readonly caller: string;
  readonly idempotencyKey: string;
}

interface Call extends CallerKey {
  /** A ULID, given once, of the action that may come of it: a command that is run again is recognized by it. */
  readonly actionId: string;
  /** W3C trace context of the call, for the event. */
  readonly traceparent?: string | undefined;
  /** Undefined if it comes alone. */
  readonly batch?: BatchPart | undefined;
}

interface FromPayer {
  /** Whether the caller may bring money into the books: pay from an EXTERNAL account. */
  readonly mayPayFromExternal: boolean;
}

/** A request to authorize. */
export interface AuthorizeCommand extends PaymentRequest, Call, FromPayer {
  readonly kind: 'PAYMENT';
}

/** A request to hold. */
export interface HoldCommand extends PaymentRequest, Call, FromPayer {
  readonly kind: 'HOLD';
  readonly ttlMs: number;
}

interface OnPayment {
  /** What never changes of it; read before, so that all locks can be asked for at once. */
  readonly payment: Payment;
  /** The id of the expiry that comes first if the time of a hold is found to be over; lower than actionId. */
  readonly expiryId: string;
}

export interface CaptureCommand extends CaptureRequest, Notes, OnPayment, Call, FromPayer {
  readonly kind: 'CAPTURE';
}

export interface VoidCommand extends Notes, OnPayment, Call {
  readonly kind: 'VOID';
}

/** The original payee pays: FromPayer is about that account. */
export interface RefundCommand extends RefundRequest, Notes, OnPayment, Call, FromPayer {
  readonly kind: 'REFUND';
}

/** To release a hold whose time is over: the service's own, without a caller or a key. */
export interface ExpireCommand extends OnPayment {
  readonly kind: 'EXPIRY';
  readonly traceparent?: undefined;
}

/** A request to do several things or none of them; its actionId is the first one's, and the batch's own id. */
export interface BatchCommand extends Call {
  readonly kind: 'BATCH';
  /** In the order in which they are decided; one at least. Their key is the batch's. */
  readonly items: readonly ActionCommand[];
  /** See batchDigest. */
  readonly digest: string;
}

/** What makes a payment. */
export type FirstCommand = AuthorizeCommand | HoldCommand;
/** What a caller asks for, alone or as an item of a batch. */
export type ActionCommand = FirstCommand | CaptureCommand | VoidCommand | RefundCommand;
/** What is done to a payment there is. */
export type LaterCommand = CaptureCommand | VoidCommand | RefundCommand | ExpireCommand;
/** What makes one action at most. */
export type SingleCommand = ActionCommand | ExpireCommand;
/** What has a key. */
export type KeyedCommand = ActionCommand | BatchCommand;
/** All that share transactions. */
export type PaymentCommand = SingleCommand | BatchCommand;

export function isLater(command: SingleCommand): command is LaterCommand {
  return 'payment' in command;
}

/** The commands with the items of batches in their place. */
export function singleCommands(commands: readonly PaymentCommand[]): readonly SingleCommand[] {
  if (!commands.some(isBatch)) return commands as readonly SingleCommand[];
  return commands.flatMap<SingleCommand>((command) => (isBatch(command) ? command.items : command));
}

function isBatch(command: PaymentCommand): command is BatchCommand {
  return command.kind === 'BATCH';
}

export function isKeyed(command: PaymentCommand): command is KeyedCommand {
  return command.kind !== 'EXPIRY';
}

/** What identifies a command to its caller; a string, for maps. */
export function keyOf({ caller, idempotencyKey }: CallerKey): string {
  // The length keeps apart callers and keys that only together are the same text.
  return `${caller.length}:${caller}${idempotencyKey}`;
}

/** The accounts that the command may change. */
export function accountsOf(command: SingleCommand): readonly [payer: string, payee: string] {
  const { payerAccountId, payeeAccountId } = isLater(command) ? command.payment : command;
  return [payerAccountId, payeeAccountId];
}

/** The account that the command takes money from, if it moves any. */
export function payingAccountOf(command: SingleCommand): string {
  const [payer, payee] = accountsOf(command);
  return command.kind === 'REFUND' ? payee : payer;
}

/** Whether the command may be the first change of a payment, which has nothing that changes before. */
export function mayBegin(command: LaterCommand): boolean {
  return command.kind === 'REFUND' && command.payment.kind === 'PAYMENT';
}
