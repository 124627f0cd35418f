import { uuidToUlid } from '../../src/app/ulid.ts';
import type { BenchDatabase } from '../database.ts';
import type { Options } from '../options.ts';
import type { ServiceProcess } from '../service-process.ts';
import { type CallSample, type CallTurn, type Contestant, callTurn } from '../turns.ts';
import type { Bench } from './suite.ts';

/** What can be done to a payment only once. */
type Once = 'capture' | 'refund';

/** A turn gets as many as it could use up if it were so much faster than the holds were made. */
const FASTER_PER_SECOND = 4_000;
const MAKING_MS = 5_000;

/** Payments that nothing has been done to yet, each of which is given out once. */
export class Stock {
  readonly #paymentIds: readonly string[];
  readonly #forTurn: (milliseconds: number) => number;
  #next = 0;

  constructor(paymentIds: readonly string[], forTurn: (milliseconds: number) => number) {
    this.#paymentIds = paymentIds;
    this.#forTurn = forTurn;
  }

  /** As many as calls can use up in that time. */
  take(milliseconds: number): readonly string[] {
    const from = this.#next;
    this.#next += this.#forTurn(milliseconds);
    return this.#paymentIds.slice(from, this.#next);
  }
}

/** So many callers that do it to one payment of the stock after the other. */
export function turnFromStock(
  { environment, options }: Bench,
  stock: Stock,
  kind: Once,
  turn: Omit<CallTurn, 'calls'>,
): Contestant<CallSample> {
  return {
    name: turn.name,
    turn(durationMs, rampMs) {
      const calls = { kind, paymentIds: stock.take(durationMs + rampMs) };
      return callTurn(environment, options, { ...turn, calls }).turn(durationMs, rampMs);
    },
  };
}

/**
 * Makes holds through the API, and returns a stock of them for captures, and one of as
 * many of the latest payments for refunds. Each is enough for all turns of the run.
 */
export async function makeStocks(
  { environment, options, onProgress, signal }: Bench,
  { client }: BenchDatabase,
  server: ServiceProcess,
  accounts: number,
  callers: number,
): Promise<Readonly<Record<Once, Stock>>> {
  const making = callTurn(environment, options, {
    name: 'making holds',
    server,
    calls: { kind: 'hold', accounts },
    callers,
    outcome: 'TAKEN',
  });
  const durationMs = Math.min(MAKING_MS, options.durationMs * 5);
  let fastest = 0;
  let wanted = 0;
  let open = 0;
  // Beside what is answered in the time, what is under way at its end.
  const forTurn = (milliseconds: number) => Math.ceil(((fastest + FASTER_PER_SECOND) * milliseconds) / 1_000) + callers;
  do {
    signal.throwIfAborted();
    const { perSecond } = await making.turn(durationMs, 0);
    fastest = Math.max(fastest, perSecond);
    wanted = turnLengths(options).reduce((sum, milliseconds) => sum + forTurn(milliseconds), 0);
    const { rows } = await client.query<{ open: number }>(
      'select count(*)::int as open from payment_balances where open',
    );
    open = rows[0]!.open;
    onProgress(`made ${open} of ${wanted} holds`);
  } while (open < wanted);

  const idsOf = async (latest: string) => {
    const { rows } = await client.query<{ payment_id: string }>(
      `select payment_id from (${latest} order by payment_id desc limit ${wanted}) as latest order by random()`,
    );
    return rows.map(({ payment_id }) => uuidToUlid(payment_id));
  };
  const holds = await idsOf('select payment_id from payment_balances where open');
  const payments = await idsOf("select payment_id from payments where kind = 'PAYMENT'");
  if (payments.length < wanted) {
    throw new Error(
      `The books have ${payments.length} payments to refund, and the run needs ${wanted}: see --payments`,
    );
  }
  return { capture: new Stock(holds, forTurn), refund: new Stock(payments, forTurn) };
}

/** Of all turns that a contestant has in a run, in milliseconds. */
function turnLengths({ quick, rounds, durationMs, rampMs, warmUpMs }: Options): number[] {
  const turns = Array.from({ length: rounds }, () => durationMs + rampMs);
  return quick ? turns : [warmUpMs + rampMs, ...turns];
}
