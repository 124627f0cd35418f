import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { reconcile } from '../../src/app/reconciliation/books.ts';
import { AccountType } from '../../src/gen/payment/v1/account.ts';
import { postgresBooks } from '../../src/infra/postgres/reconciliation/books.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { auditBooks } from '../support/books.ts';
import { createSystem, type System } from '../support/system.ts';
import { accountMessage } from './model/account-calls.ts';
import { type Books, CODES, statusOf } from './model/books.ts';
import { type Command, commands } from './model/commands.ts';
import { count, type Seen } from './model/compared-calls.ts';
import { DifferenceError, play } from './model/play.ts';
import { shorten } from './model/shorten.ts';

// Random sequences of calls, each answer compared with that of a small ledger in memory.
// What fails is made as short as it can be and printed, with how to play it again.

const SEQUENCES = wholeNumber('MODEL_SEQUENCES', 1) ?? 2_000;
/** Of the first player; each other's is one more than the one's before. */
const SEED = wholeNumber('MODEL_SEED', 0) ?? Math.floor(Math.random() * 2 ** 31);
/** A sequence as a failure prints it: it is played alone. */
const COMMANDS = sequence('MODEL_COMMANDS');
/** Sequences at a time: they share transactions, and those that wait for a hold to expire keep no other waiting. */
const PLAYERS = 24;
/** From this many sequences on, all there is to see must have been seen. */
const ENOUGH_TO_SEE_ALL = 1_000;
/** Tokens of an account: so few that a sequence can take them all. */
const BUCKET = 30;

let system: System;
let client: LedgerClient;
beforeAll(async () => {
  system = await createSystem();
  ({ client } = await system.startApi({ RATE_LIMIT_CAPACITY: `${BUCKET}`, RATE_LIMIT_REFILL_PER_SECOND: '1' }));
});
afterAll(() => system.close());

const seen: Seen = new Map();
/** The model of each sequence as it ended. */
const played: Books[] = [];

test('sequences of calls are answered as the model answers them', { timeout: 3_600_000 }, async () => {
  if (COMMANDS !== undefined) {
    await play(client, COMMANDS, seen, BUCKET);
    return;
  }
  console.log(`MODEL_SEED=${SEED} MODEL_SEQUENCES=${SEQUENCES}`);
  let failing: number | undefined;
  let playedBefore = 0;
  const property = (player: number) =>
    fc.asyncProperty(commands, async (sequence) => {
      // The others come to their end, while the one that failed looks for a shorter sequence that does.
      if (failing !== undefined && failing !== player) return;
      try {
        played.push(await play(client, sequence, seen, BUCKET));
      } catch (error) {
        if (failing === undefined) playedBefore = played.length;
        failing ??= player;
        throw error;
      }
    });
  const players = Math.min(PLAYERS, SEQUENCES);
  const checks = Array.from({ length: players }, (_, player) =>
    fc.check(property(player), { seed: SEED + player, numRuns: Math.ceil((SEQUENCES - player) / players) }),
  );
  const results = await Promise.all(checks);
  if (failing !== undefined) throw new Error(await report(results[failing]!, playedBefore));
  expect(played).toHaveLength(SEQUENCES);
});

test('afterwards the books are clean, and every row has its event, in order', { timeout: 600_000 }, async () => {
  const { database } = system;
  expect(await auditBooks(database)).toEqual([]);
  expect((await reconcile(postgresBooks(database.pool))).problems).toEqual([]);

  const ids = `
    select payment_id as id from payments union all select change_id from account_changes`;
  expect(await database.query(`(${ids}) except all select id from outbox`), 'without an event').toEqual([]);
  expect(await database.query(`select id from outbox except all (${ids})`), 'one event too many').toEqual([]);
  // Changes of accounts by their revision, payments and what follows on them by the payer's version.
  for (const number of [`payload ->> 'revision'`, `payload -> 'payer' ->> 'version'`]) {
    const disorder = await database.query(`
      select id, number, before from (
        select id, number, lag(number) over (partition by aggregateid order by position) as before
        from (select id, aggregateid, position, (${number})::bigint as number from outbox) events
        where number is not null) numbered
      where number <= before`);
    expect(disorder, number).toEqual([]);
  }
});

test('afterwards the lists over all accounts have all there is, once', { timeout: 600_000 }, async () => {
  const type = AccountType.ACCOUNT_TYPE_CUSTOMER;
  const accounts = await allPages(async (pageToken) => {
    const { accounts, nextPageToken } = await client.listAccounts({ pageSize: 1_000, pageToken, type });
    return { items: accounts, nextPageToken };
  });
  count(seen, 'ListAccounts');
  const accountsById = new Map(accounts.map((account) => [account.accountId, account]));
  expect(accountsById.size).toBe(accounts.length);

  const payments = await allPages(async (pageToken) => {
    const page = await client.listPayments({ pageSize: 1_000, pageToken, createdFrom: '2020-01-01T00:00:00Z' });
    return { items: page.payments, nextPageToken: page.nextPageToken };
  });
  const paymentsById = new Map(payments.map((payment) => [payment.paymentId, payment]));
  expect(paymentsById.size).toBe(payments.length);

  for (const books of played) {
    for (const account of books.accounts.values()) {
      if (account.type === type) expect(accountsById.get(account.accountId)).toEqual(accountMessage(account));
    }
    for (const payment of books.payments.values()) {
      expect(paymentsById.get(payment.paymentId)).toMatchObject({ status: statusOf(payment) });
    }
  }
});

async function allPages<Item>(page: (pageToken: string) => Promise<{ items: Item[]; nextPageToken: string }>) {
  const all: Item[] = [];
  for (let pageToken = ''; ; ) {
    const { items, nextPageToken } = await page(pageToken);
    all.push(...items);
    if (nextPageToken === '') return all;
    pageToken = nextPageToken;
  }
}

test('the sequences have reached all there is to reach', ({ skip }) => {
  const counts = [...seen].sort(([, one], [, other]) => one - other);
  console.log(counts.map(([what, times]) => `${times} ${what}`).join('\n'));
  if (played.length < ENOUGH_TO_SEE_ALL) skip(`only ${played.length} sequences were played`);
  expect(TO_SEE.filter((what) => !seen.has(what))).toEqual([]);
});

const TO_SEE = [
  ...['AuthorizePayment', 'HoldPayment', 'CapturePayment', 'VoidPayment', 'RefundPayment', 'GetPayment'],
  ...['ListPaymentActions', 'ListPayments', 'GetAccountBalance', 'OpenAccount', 'UpdateAccount', 'FreezeAccount'],
  ...['UnfreezeAccount', 'CloseAccount', 'GetAccount', 'ListAccountEntries', 'GetBalanceSnapshot', 'ListAccounts'],
  ...['ExecutePaymentBatch', 'a batch was taken', 'a batch was declined'],
  ...['AUTHORIZED', 'DECLINED', 'DUPLICATE', 'HELD', 'CAPTURED', 'VOIDED', 'EXPIRED'].map(
    (each) => `PAYMENT_STATUS_${each}`,
  ),
  ...Object.keys(CODES).map((code) => `PAYMENT_ERROR_CODE_${code}`),
  ...['INVALID_REQUEST', 'NOT_FOUND', 'IDEMPOTENCY_KEY_REUSED', 'ACCOUNT_EXISTS', 'ETAG_MISMATCH', 'ACCOUNT_CLOSED'],
  ...['ACCOUNT_NOT_EMPTY', 'OVERDRAFT_IN_USE', 'EXTERNAL_HAS_NO_LIMIT'],
];

/** What failed, as short as it can be, and how to play it again. */
async function report(
  { counterexample, errorInstance }: fc.RunDetails<[Command[]]>,
  playedBefore: number,
): Promise<string> {
  let error = errorInstance as Error;
  const sequence = await shorten(counterexample![0], async (sequence) => {
    try {
      await play(client, sequence, seen, BUCKET);
      return undefined;
    } catch (caught) {
      if (!(caught instanceof DifferenceError)) throw caught;
      error = caught;
      return caught.index;
    }
  });
  return [
    `after ${playedBefore} sequences one failed; shortened, it is`,
    ...sequence.map((command) => `  ${JSON.stringify(command)}`),
    `${error.message}`,
    'To play it, or all again:',
    `MODEL_COMMANDS='${JSON.stringify(sequence)}' npm test -- test/e2e/model.test.ts`,
    `MODEL_SEED=${SEED} MODEL_SEQUENCES=${SEQUENCES} npm test -- test/e2e/model.test.ts`,
  ].join('\n');
}

function wholeNumber(variable: string, least: number): number | undefined {
  const text = process.env[variable];
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text) || Number(text) < least) throw new Error(`${variable} must be a whole number from ${least}`);
  return Number(text);
}

function sequence(variable: string): Command[] | undefined {
  const text = process.env[variable];
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`${variable} must be JSON, as a failure prints it`, { cause });
  }
}
