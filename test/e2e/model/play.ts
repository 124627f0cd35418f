import { AccountType, FreezeAccountRequest, ListAccountEntriesRequest } from '../../../src/gen/payment/v1/account.ts';
import { ListPaymentsRequest } from '../../../src/gen/payment/v1/payment.ts';
import type { LedgerClient } from '../../../tools/client.ts';
import { type Account, availableOf, type Books, isExternal, type Notes, type Payment } from './books.ts';
import type { AccountCommand, Command, Name, Pair, PaymentCommand, ReadCommand } from './commands.ts';
import { ComparedCalls, type Seen } from './compared-calls.ts';
import { INVALID_REQUESTS } from './invalid-requests.ts';
import type { BatchRequest, MoneyRequest } from './requests.ts';

/** What of a command says how much of what. */
type Amount = Extract<PaymentCommand, { do: 'CAPTURE' }>['amount'];
type PaymentRef = Extract<PaymentCommand, { do: 'CAPTURE' }>['of'];
type TimeRef = Extract<ReadCommand, { do: 'LIST_ENTRIES' }>['from'];

const INT64_MAX = 2n ** 63n - 1n;
const LONG_AGO = '2020-01-01T00:00:00.000Z';
const FAR_AHEAD = '2100-01-01T00:00:00.000Z';

/**
 * Makes the calls of a sequence one after the other, between accounts of its own, and throws
 * at the first answer that is not the model's. Returns the model as it is at the end.
 */
export async function play(
  client: LedgerClient,
  commands: readonly Command[],
  seen: Seen,
  bucketCapacity: number,
): Promise<Books> {
  const books = { accounts: new Map(), payments: new Map(), keys: new Map(), tokens: new Map(), bucketCapacity };
  const sequence = new Sequence(new ComparedCalls(client, books, seen));
  await differing(-1, 'before the first command', () => sequence.begin());
  for (const [index, command] of commands.entries()) {
    await differing(index, JSON.stringify(command), () => sequence.play(command));
  }
  await differing(commands.length, 'after the last command', () => sequence.end());
  return books;
}

/** The service and the model differ. */
export class DifferenceError extends Error {
  override readonly name = 'DifferenceError';
  /** Of the command at which they do. */
  readonly index: number;

  constructor(index: number, message: string, cause: unknown) {
    super(message, { cause });
    this.index = index;
  }
}

async function differing(index: number, when: string, step: () => Promise<void>): Promise<void> {
  try {
    await step();
  } catch (error) {
    throw new DifferenceError(index, `${when}: ${(error as Error).message}`, error);
  }
}

class Sequence {
  readonly #calls: ComparedCalls;
  readonly #books: Books;
  /** Makes account ids, keys and references that no other sequence has. */
  readonly #id = crypto.randomUUID();
  readonly #sent: (MoneyRequest | BatchRequest)[] = [];
  readonly #keys: string[] = [];

  constructor(calls: ComparedCalls) {
    this.#calls = calls;
    this.#books = calls.books;
  }

  async begin(): Promise<void> {
    const customer = { currency: 'RUB', type: AccountType.ACCOUNT_TYPE_CUSTOMER, overdraftLimitCents: 0n };
    const external = { ...customer, type: AccountType.ACCOUNT_TYPE_EXTERNAL };
    await Promise.all([
      this.#calls.open({ accountId: this.#account('alice'), ...customer }),
      this.#calls.open({ accountId: this.#account('bob'), ...customer, overdraftLimitCents: 200n }),
      this.#calls.open({ accountId: this.#account('world'), ...external }),
      this.#calls.open({ accountId: this.#account('euro'), ...customer, currency: 'EUR', overdraftLimitCents: 500n }),
    ]);
    await this.play({ do: 'PAY', between: ['world', 'alice'], amount: 1_000, currency: 'RUB', notes: 0 });
  }

  async play(command: Command): Promise<void> {
    switch (command.do) {
      case 'PAY':
      case 'HOLD':
      case 'CAPTURE':
      case 'VOID':
      case 'REFUND':
        return this.#send(this.#request(command));
      case 'BATCH':
        return this.#send(this.#batch(command));
      case 'AGAIN':
        return this.#sendNow(changed(ago(this.#sent, command.request)!, command.but));
      case 'REPEAT':
        if (command.after !== undefined) await this.play(command.after);
        for (let times = 0; times < command.times; times += 1) await this.play(command.command);
        return;
      case 'HOLD_BRIEFLY':
        return this.#holdBriefly(command);
      case 'INVALID':
        return this.#invalid(command.request);
      case 'OPEN':
      case 'UPDATE':
      case 'FREEZE':
      case 'UNFREEZE':
      case 'CLOSE':
        return this.#changeAccount(command);
      default:
        return this.#read(command);
    }
  }

  end(): Promise<void> {
    return this.#calls.compareBooks();
  }

  #account(name: Name): string {
    return `${name}-${this.#id}`;
  }

  async #send(sent: MoneyRequest | BatchRequest): Promise<void> {
    this.#sent.push(sent);
    this.#keys.push(sent.request.idempotencyKey);
    await this.#sendNow(sent);
  }

  #sendNow(sent: MoneyRequest | BatchRequest): Promise<void> {
    return sent.method === 'BATCH' ? this.#calls.sendBatch(sent) : this.#calls.send(sent);
  }

  /** Amounts are of what there is before it. */
  #batch({ key, items }: Extract<Command, { do: 'BATCH' }>): BatchRequest {
    const idempotencyKey = this.#key(key);
    return { method: 'BATCH', request: { idempotencyKey, items: items.map((item) => this.#request(item)) } };
  }

  #request(command: PaymentCommand): MoneyRequest {
    const idempotencyKey = this.#key(command.key);
    const notes = this.#notes(command.notes);
    switch (command.do) {
      case 'PAY':
        return { method: 'AUTHORIZE', request: { idempotencyKey, ...this.#parties(command), ...notes } };
      case 'HOLD': {
        const ttl = command.days === 0 ? undefined : { seconds: BigInt(command.days) * 86_400n, nanos: 0 };
        return { method: 'HOLD', request: { idempotencyKey, ...this.#parties(command), ...notes, ttl } };
      }
      case 'VOID':
        return { method: 'VOID', request: { idempotencyKey, paymentId: this.#paymentId(command.of), ...notes } };
      case 'CAPTURE': {
        const paymentId = this.#paymentId(command.of, heldOf);
        const amountCents = this.#part(command.amount, paymentId, heldOf);
        const request = { idempotencyKey, paymentId, amountCents, keepRemainder: command.keep, ...notes };
        return { method: 'CAPTURE', request };
      }
      case 'REFUND': {
        const paymentId = this.#paymentId(command.of, refundableOf);
        const amountCents = this.#part(command.amount, paymentId, refundableOf);
        return { method: 'REFUND', request: { idempotencyKey, paymentId, amountCents, ...notes } };
      }
    }
  }

  /** A hold is over a millisecond later, or soon enough if something is to be captured of it before. */
  async #holdBriefly(command: Extract<Command, { do: 'HOLD_BRIEFLY' }>): Promise<void> {
    const { between, amount, capture, foundBy } = command;
    const parties = this.#parties({ between, amount, currency: 'RUB' });
    const ttl = { seconds: 0n, nanos: (capture === 0 ? 1 : 500) * 1_000_000 };
    const key = () => ({ idempotencyKey: this.#key(undefined), ...this.#notes(0) });
    const before = this.#books.payments.size;
    await this.#send({ method: 'HOLD', request: { ...key(), ...parties, ttl } });
    const payment = [...this.#books.payments.values()][before];
    if (payment === undefined) return;

    const { paymentId, expiresAt } = payment;
    if (capture > 0) {
      const request = { ...key(), paymentId, amountCents: BigInt(capture), keepRemainder: true };
      await this.#send({ method: 'CAPTURE', request });
    }
    if (payment.heldCents === 0n) return;
    while (Date.now() <= Date.parse(expiresAt)) await new Promise((resume) => setTimeout(resume, 5));
    switch (foundBy) {
      case 'SWEEPER':
        return this.#calls.awaitExpiry(paymentId);
      case 'VOID':
        return this.#send({ method: 'VOID', request: { ...key(), paymentId } });
      case 'CAPTURE':
        return this.#send({
          method: 'CAPTURE',
          request: { ...key(), paymentId, amountCents: undefined, keepRemainder: false },
        });
      case 'REFUND':
        // One that found the bucket empty would not look at the hold.
        if ((this.#books.tokens.get(payment.payeeAccountId) ?? 0) >= this.#books.bucketCapacity) {
          return this.#calls.awaitExpiry(paymentId);
        }
        return this.#send({ method: 'REFUND', request: { ...key(), paymentId, amountCents: undefined } });
    }
  }

  async #invalid(index: number): Promise<void> {
    const [fields, rpc, call] = INVALID_REQUESTS[index % INVALID_REQUESTS.length]!;
    const [paymentId] = this.#books.payments.keys();
    const there = { accountId: this.#account('alice'), otherAccountId: this.#account('bob'), paymentId: paymentId! };
    await this.#calls.invalid(rpc, call(this.#calls.client, there), fields);
  }

  #changeAccount(command: AccountCommand): Promise<void> {
    const accountId = this.#account(command.account);
    if (command.do === 'OPEN') {
      const type = command.external ? AccountType.ACCOUNT_TYPE_EXTERNAL : AccountType.ACCOUNT_TYPE_CUSTOMER;
      const overdraftLimitCents = command.external ? 0n : BigInt(command.limit);
      return this.#calls.open({ accountId, currency: command.currency, type, overdraftLimitCents });
    }
    const etag = this.#etag(accountId, command.etag);
    switch (command.do) {
      case 'UPDATE': {
        const { limit, notes } = command;
        // An update has to name something.
        const limitCents =
          limit === undefined && notes === undefined ? 0n : limit === undefined ? undefined : BigInt(limit);
        const metadata = notes === undefined ? undefined : this.#notes(notes).metadata;
        return this.#calls.update({
          accountId,
          etag,
          ...(limitCents === undefined ? {} : { limitCents }),
          ...(metadata === undefined ? {} : { metadata }),
        });
      }
      case 'FREEZE':
      case 'UNFREEZE': {
        const { debits, credits } = command;
        const request = FreezeAccountRequest.fromPartial({ accountId, debits, credits, etag });
        return command.do === 'FREEZE' ? this.#calls.freeze(request) : this.#calls.unfreeze(request);
      }
      case 'CLOSE':
        return this.#calls.close({ accountId, etag, reason: '' });
    }
  }

  #read(command: ReadCommand): Promise<void> {
    switch (command.do) {
      case 'GET_PAYMENT': {
        const { of } = command;
        if (typeof of === 'object' && 'key' in of) {
          return this.#calls.getPayment({ paymentId: '', idempotencyKey: this.#key(of.key) });
        }
        return this.#calls.getPayment({ paymentId: this.#paymentId(of), idempotencyKey: '' });
      }
      case 'GET_BALANCE':
        return this.#calls.getBalance(this.#account(command.account));
      case 'GET_ACCOUNT':
        return this.#calls.getAccount(this.#account(command.account));
      case 'SNAPSHOT': {
        const { account, at } = command;
        const point = typeof at === 'object' ? { version: BigInt(at.version) } : { at: this.#time(at) || FAR_AHEAD };
        return this.#calls.snapshot(this.#account(account), point);
      }
      case 'LIST_ACTIONS':
        return this.#calls.listActions(this.#paymentId(command.of), command.pageSize);
      case 'LIST_ENTRIES': {
        const [versionFrom, versionBefore] = command.versions.map(BigInt);
        const request = {
          accountId: this.#account(command.account),
          pageSize: command.pageSize,
          order: command.oldestFirst ? 2 : 0,
          ...this.#times(command),
          versionFrom: versionFrom!,
          versionBefore: versionBefore!,
        } as const;
        return this.#calls.listEntries(ListAccountEntriesRequest.fromPartial(request));
      }
      case 'LIST_PAYMENTS': {
        const { account, role, statuses, reference, pageSize } = command;
        // A reference of the sequence's own needs no account.
        const accountId = reference && role === 0 ? '' : this.#account(account);
        const request = {
          accountId,
          role: role as 0 | 1 | 2,
          statuses: statuses as ListPaymentsRequest['statuses'],
          reference: reference ? this.#notes(1).reference : '',
          ...this.#times(command),
          pageSize,
        };
        return this.#calls.listPayments(ListPaymentsRequest.fromPartial(request));
      }
    }
  }

  #parties({ between, amount, currency }: { between: Pair; amount: Amount; currency: 'RUB' | 'EUR' }) {
    const [payerAccountId, payeeAccountId] = [this.#account(between[0]), this.#account(between[1])];
    const payer = this.#books.accounts.get(payerAccountId);
    const amountCents = amountOf(amount, payer === undefined ? 0n : spendableOf(payer)) ?? 0n;
    return { payerAccountId, payeeAccountId, amountCents, currency };
  }

  #part(amount: Amount, paymentId: string, allOf: (payment: Payment) => bigint): bigint | undefined {
    const payment = this.#books.payments.get(paymentId);
    return amountOf(amount, payment === undefined ? 0n : allOf(payment));
  }

  #key(key: number | undefined): string {
    const used = key === undefined ? undefined : ago(this.#keys, key);
    return used ?? `${this.#id}-${this.#keys.length}`;
  }

  #notes(number: number): Notes {
    return {
      description: number === 3 ? 'in two parcels' : '',
      reference: number === 1 ? `order-${this.#id}` : '',
      metadata: number === 2 ? { order: '1', clerk: 'Ann' } : {},
    };
  }

  #etag(accountId: string, which: Extract<AccountCommand, { do: 'CLOSE' }>['etag']): string {
    const [current = '', before = ''] = this.#books.accounts.get(accountId)?.etags ?? [];
    return { NONE: '', CURRENT: current, BEFORE: before, WRONG: 'never-had' }[which];
  }

  #paymentId(ref: PaymentRef, roomOf?: (payment: Payment) => bigint): string {
    const payments = [...this.#books.payments.values()];
    if (ref === 'NOT_AN_ID') return 'payment-1';
    if (ref === 'UNKNOWN') return '01M85Q3TTE820EZ9PCVSPH2JRN';
    if (ref === 'ROOMIEST') {
      const room = roomOf ?? heldOf;
      return payments.reduce((most, each) => (room(each) > room(most) ? each : most)).paymentId;
    }
    if (typeof ref === 'object') return ago(payments, ref.lastActionOf)!.actions.at(-1)!.actionId;
    return ago(payments, ref)!.paymentId;
  }

  #time(ref: TimeRef): string {
    if (ref === 'NONE') return '';
    if (ref === 'LONG_AGO') return LONG_AGO;
    if (ref === 'FAR_AHEAD') return FAR_AHEAD;
    return ago(this.#calls.times, ref) ?? '';
  }

  /** The right way round. */
  #times(range: { readonly from: TimeRef; readonly before: TimeRef }) {
    const [createdFrom, createdBefore] = [this.#time(range.from), this.#time(range.before)];
    const isReversed = createdBefore !== '' && createdBefore < createdFrom;
    return isReversed ? { createdFrom: createdBefore, createdBefore: createdFrom } : { createdFrom, createdBefore };
  }
}

/** A request but for one field, if it has that. */
function changed(
  asked: MoneyRequest | BatchRequest,
  what: Extract<Command, { do: 'AGAIN' }>['but'],
): MoneyRequest | BatchRequest {
  if (asked.method === 'BATCH') {
    const items = asked.request.items.map((item, index) => (index === 0 ? changed(item, what) : item));
    return { method: 'BATCH', request: { ...asked.request, items: items as MoneyRequest[] } };
  }
  const { request } = asked;
  const changes = {
    NOTHING: {},
    AMOUNT: 'amountCents' in request ? { amountCents: another(request.amountCents ?? 0n) } : {},
    KEEP_REMAINDER: 'keepRemainder' in request ? { keepRemainder: !request.keepRemainder } : {},
    TTL: 'ttl' in request ? { ttl: { seconds: 172_800n, nanos: 0 } } : {},
    REFERENCE: { reference: 'another order' },
    METADATA: { metadata: { order: '1', clerk: 'Bo' } },
    DESCRIPTION: { description: 'in three parcels' },
  }[what];
  return { ...asked, request: { ...request, ...changes } } as MoneyRequest;
}

function another(amountCents: bigint): bigint {
  return amountCents === INT64_MAX ? 1n : amountCents + 1n;
}

/** 0 is the last; undefined if there are none. */
function ago<Item>(items: readonly Item[], index: number): Item | undefined {
  return items.at(-1 - (index % items.length));
}

function amountOf(amount: Amount, allCents: bigint): bigint | undefined {
  switch (amount) {
    case 'ABSENT':
      return undefined;
    case 'ALL':
      return atMost(INT64_MAX, allCents);
    case 'ONE_MORE':
      return atMost(INT64_MAX, allCents + 1n);
    case 'MAX':
      return INT64_MAX;
    default:
      return BigInt(amount);
  }
}

function atMost(limit: bigint, cents: bigint): bigint {
  return cents < limit ? cents : limit;
}

const heldOf = ({ heldCents }: Payment) => heldCents;
const refundableOf = ({ capturedCents, refundedCents }: Payment) => capturedCents - refundedCents;

/** An EXTERNAL account may spend anything; what it has paid out is as good as any amount. */
function spendableOf(account: Account): bigint {
  const available = availableOf(account);
  return isExternal(account) ? (available < 0n ? -available : available) : available + account.limitCents;
}
