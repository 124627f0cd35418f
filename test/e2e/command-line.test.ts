import { randomUUID } from 'node:crypto';
import { ulidToUUID } from 'ulid';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { applicationAddress } from '../../tools/stack/postgres.ts';
import { filesIn } from '../support/callers.ts';
import { createAuthority } from '../support/certificates.ts';
import { runLedger, runLedgerHere } from '../support/command-line.ts';
import { createSystem, type System } from '../support/system.ts';
import { AUDIENCE, ISSUER, signingKey } from '../support/tokens.ts';

// A command that is a process of its own loads in a second, and on a busy machine in many.
const LIMIT_MS = 300_000;

/** No payment has it. */
const NO_ID = '01M85Q3TTE820EZ9PCVSPH2JRN';

let system: System;
let address: string;

const toApi = () => ({ LEDGER_ADDRESS: address, LEDGER_DEADLINE_MS: '120000' });
const call = (...args: string[]) => runLedgerHere(args, toApi());
const toServers = () => ({
  DATABASE_URL: applicationAddress(system.database.url),
  KAFKA_BROKERS: inject('kafkaBrokers'),
  KAFKA_TOPIC: system.topic,
});
const operate = (...args: string[]) => runLedgerHere(args, toServers());
const pay = (amountCents: string, ...args: string[]) =>
  call('pay', '--payer', 'acc-a', '--payee', 'acc-b', '--amount-cents', amountCents, '--currency', 'RUB', ...args);

beforeAll(async () => {
  system = await createSystem();
  await system.startRelay();
  const api = await system.startApi();
  address = api.address;
  await api.client.openFunded('acc-a', 10_000n);
  await api.client.open('acc-b');
}, LIMIT_MS);
afterAll(() => system?.close());

describe('accounts', { timeout: LIMIT_MS }, () => {
  test('are opened, shown and listed', async () => {
    const opened = {
      accountId: 'acc-new',
      currency: 'RUB',
      type: 'CUSTOMER',
      overdraftLimitCents: '500',
      openedAt: expect.stringMatching(/Z$/),
      state: 'ACTIVE',
      debitsFrozen: false,
      creditsFrozen: false,
      metadata: {},
      etag: expect.stringMatching(/./),
    };
    const open = ['accounts', 'open', 'acc-new', '--currency', 'RUB', '--overdraft-limit-cents', '500'];
    expect(JSON.parse((await call(...open, '--json')).stdout)).toEqual(opened);
    // As a process, which must end by itself though it had a connection.
    const shown = await runLedger(['accounts', 'show', 'acc-new', '--json'], toApi());
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(shown.stdout)).toEqual(opened);
    expect((await call('accounts', 'show', 'acc-new')).stdout).toMatch(
      /^account {18}acc-new\n[\s\S]*\(cents\) {2}500\n/,
    );

    const all = await call('accounts', 'list');
    expect(all).toMatchObject({ code: 0, stderr: '' });
    expect(all.stdout).toMatch(/^ACCOUNT +TYPE +CURRENCY +OVERDRAFT LIMIT \(CENTS\) +OPENED\n/);
    expect(all.stdout).toMatch(/^external-RUB +EXTERNAL +RUB +0 /m);
    const some = await call('accounts', 'list', '--type', 'customer', '--limit', '2', '--json');
    expect(JSON.parse(some.stdout)).toMatchObject({
      accounts: [{ accountId: 'acc-a' }, { accountId: 'acc-b' }],
      more: true,
    });
    expect((await call('accounts', 'list', '--limit', '1')).stderr).toContain('--all');
  });

  test('that are unknown end with 3, those that exist with other terms with 7', async () => {
    expect(await call('accounts', 'show', 'acc-none')).toMatchObject({ code: 3, stdout: '' });
    expect((await call('accounts', 'open', 'acc-a', '--currency', 'EUR')).code).toBe(7);
  });

  test('with a bad currency are a usage error that names the field', async () => {
    const { code, stderr } = await call('accounts', 'open', 'acc-bad', '--currency', 'rub');
    expect(code).toBe(2);
    expect(stderr).toMatch(/INVALID_ARGUMENT[\s\S]*currency/);
  });
});

describe('a payment', { timeout: LIMIT_MS }, () => {
  test('is made once for its key, and shown by id, uuid and key', async () => {
    const key = randomUUID();
    const first = await pay(
      '100',
      '--key',
      key,
      '--reference',
      'order-1',
      '--metadata',
      'a=1',
      '--metadata',
      'b=\u001b[31m',
      '--json',
    );
    expect(first.code).toBe(0);
    const made = JSON.parse(first.stdout);
    expect(made).toMatchObject({ status: 'AUTHORIZED', originalStatus: null, idempotencyKey: key, error: null });
    const again = await pay(
      '100',
      '--key',
      key,
      '--reference',
      'order-1',
      '--metadata',
      'a=1',
      '--metadata',
      'b=\u001b[31m',
    );
    expect(again).toMatchObject({ code: 0, stderr: '' });
    expect(again.stdout).toContain('DUPLICATE of a payment that was AUTHORIZED');
    expect(again.stdout).toContain(made.paymentId);

    const shown = JSON.parse((await call('payment', 'show', made.paymentId, '--json')).stdout);
    expect(shown).toMatchObject({ paymentId: made.paymentId, amountCents: '100', metadata: { a: '1' }, error: null });
    const byUuid = await call('payment', 'show', ulidToUUID(made.paymentId), '--json');
    expect(JSON.parse(byUuid.stdout)).toEqual(shown);
    const byKey = await call('payment', 'show', '--key', key);
    expect(byKey.stdout).toMatch(/^status +AUTHORIZED$/m);
    expect(byKey.stdout).toMatch(/^metadata b +\\u001b\[31m$/m);
  });

  test('that is declined ends with 4, and so does its duplicate', async () => {
    const key = randomUUID();
    const declined = await pay('1000000', '--key', key);
    expect(declined.code).toBe(4);
    expect(declined.stdout).toContain('INSUFFICIENT_FUNDS');
    const again = await pay('1000000', '--key', key, '--json');
    expect(again.code).toBe(4);
    expect(JSON.parse(again.stdout)).toMatchObject({
      status: 'DUPLICATE',
      originalStatus: 'DECLINED',
      error: { code: 'INSUFFICIENT_FUNDS' },
    });
  });

  test('whose key belongs to another one ends with 7', async () => {
    const key = randomUUID();
    await pay('1', '--key', key);
    const { code, stderr } = await pay('2', '--key', key);
    expect(code).toBe(7);
    expect(stderr).toContain('IDEMPOTENCY_KEY_REUSED');
  });

  test('without an answer ends with 5 and says with which key to find out', async () => {
    const { code, stderr } = await pay('1', '--address', '127.0.0.1:1');
    expect(code).toBe(5);
    expect(stderr).toMatch(/--key [0-9a-f-]{36} finds out/);
    const late = await pay('1', '--deadline-ms', '1', '--key', 'late');
    expect(late.code).toBe(5);
    expect(late.stderr).toContain('--deadline-ms');
    expect(late.stderr).toContain('--key late finds out');
  });

  test('that is unknown ends with 3, one that is not named with 2', async () => {
    expect(await call('payment', 'show', NO_ID)).toMatchObject({ code: 3, stdout: '' });
    expect((await call('payment', 'show', '--key', randomUUID())).code).toBe(3);
    expect((await call('payment', 'show')).code).toBe(2);
    expect((await call('payment', 'show', 'not-an-id')).code).toBe(2);
  });
});

describe('balance and statement', { timeout: LIMIT_MS }, () => {
  beforeAll(async () => {
    await call('accounts', 'open', 'acc-c', '--currency', 'RUB');
    for (const amount of ['7', '5']) {
      await call('pay', '--payer', 'acc-a', '--payee', 'acc-c', '--amount-cents', amount, '--currency', 'RUB');
    }
  }, LIMIT_MS);

  test('show what an account holds and held', async () => {
    const now = {
      accountId: 'acc-c',
      currency: 'RUB',
      availableBalanceCents: '12',
      pendingBalanceCents: '0',
      postedBalanceCents: '12',
      incomingPendingCents: '0',
      version: '2',
    };
    expect(JSON.parse((await call('balance', 'acc-c', '--json')).stdout)).toEqual(now);
    expect((await call('balance', 'acc-c')).stdout).toMatch(/^available \(cents\) {2}12$/m);
    const then = JSON.parse((await call('balance', 'acc-c', '--version', '1', '--json')).stdout);
    expect(then).toMatchObject({ availableBalanceCents: '7', version: '1', lastEntryAt: expect.stringMatching(/Z$/) });
    const before = JSON.parse((await call('balance', 'acc-c', '--at', '2020-01-01T00:00:00Z', '--json')).stdout);
    expect(before).toMatchObject({ availableBalanceCents: '0', version: '0', lastEntryAt: null });
  });

  test('list what came in', async () => {
    const whole = await call('statement', 'acc-c');
    expect(whole).toMatchObject({ code: 0, stderr: '' });
    const [titles, newest, oldest] = whole.stdout.split('\n');
    expect(titles).toMatch(
      /^VERSION {2}TIME +TYPE +AMOUNT \(CENTS\) +BALANCE \(CENTS\) +PENDING \(CENTS\) +COUNTERPARTY +PAYMENT$/,
    );
    expect(newest).toMatch(/^ +2 {2}\S+Z {2}CREDIT +5 +12 +0 {2}acc-a/);
    expect(oldest).toMatch(/^ +1 {2}\S+Z {2}CREDIT +7 +7 +0 {2}acc-a/);
    const first = JSON.parse((await call('statement', 'acc-c', '--oldest-first', '--limit', '1', '--json')).stdout);
    expect(first).toMatchObject({ accountId: 'acc-c', entries: [{ version: '1', amountCents: '7' }], more: true });
    const none = await call('statement', 'acc-c', '--to', '2020-01-01T00:00:00Z', '--json');
    expect(JSON.parse(none.stdout)).toEqual({ accountId: 'acc-c', entries: [], more: false });
  });

  test('of unknown accounts and versions end with 3', async () => {
    for (const args of [
      ['balance', 'acc-none'],
      ['balance', 'acc-c', '--version', '9'],
      ['statement', 'acc-none'],
    ]) {
      expect(await call(...args)).toMatchObject({ code: 3, stdout: '' });
    }
  });
});

describe('operators', { timeout: LIMIT_MS }, () => {
  test('see the outbox empty, and each shard owned', async () => {
    await expect
      .poll(async () => (await system.database.query('select from outbox')).length, { timeout: 60_000 })
      .toBe(0);
    const { stdout } = await operate('outbox', 'status', '--json');
    const status = JSON.parse(stdout);
    expect(status).toMatchObject({ pending: 0, oldestPendingSeconds: 0, deadLetters: 0, blocked: 0 });
    expect(status.shards).toHaveLength(16);
    expect(status.shards[0]).toEqual({ shard: 0, owner: expect.any(String), pending: 0, oldestPendingSeconds: 0 });
    expect((await operate('outbox', 'status')).stdout).toMatch(
      /^pending events +0$[\s\S]*^SHARD +PENDING +OLDEST +OWNED BY$/m,
    );
  });

  test('verify the books and the events', async () => {
    // As a process, which must end by itself though it had connections to everything.
    const { code, stdout } = await runLedger(['verify', '--events', '--json'], toServers());
    const { books, events } = JSON.parse(stdout);
    const changes = await system.database.query('select from account_changes');
    expect({ code, books, events }).toMatchObject({
      code: 0,
      books: { balance: true, currencies: [{ currency: 'RUB', sumCents: '0' }], problems: [] },
      events: {
        agree: true,
        missing: [],
        unverifiable: 0,
        orphaned: [],
        paymentsAudited: books.paymentsExamined + changes.length,
      },
    });
    const again = await operate('verify');
    expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining('the books balance\n') });
  });

  test('replay one payment, and hear of accounts and payments that there are not', async () => {
    const made = JSON.parse((await pay('3', '--json')).stdout);
    const replayed = await operate('replay', '--payment', made.paymentId);
    expect(replayed).toMatchObject({ code: 0, stdout: '1 event is in the outbox to be sent again\n' });
    for (const args of [
      ['--payment', NO_ID],
      ['--account', 'acc-none'],
    ]) {
      expect(await operate('replay', ...args)).toMatchObject({ code: 3, stdout: '' });
    }
  });

  test('list, redrive and discard dead letters', async () => {
    expect(await operate('dead-letters', 'redrive', NO_ID)).toMatchObject({ code: 3, stdout: '' });
    await system.database.query(
      `insert into outbox_dead_letters (shard, position, id, aggregatetype, aggregateid, type, payload, headers, created_at, reason)
       values (0, -1, $1, 'payment', 'acc-dead', 'payment.declined.v1', '{"paymentId": "x"}', '{}', now(), 'too large')`,
      [ulidToUUID(NO_ID)],
    );
    expect((await operate('dead-letters', 'list')).stdout).toContain(`${NO_ID}  payment.declined.v1  key acc-dead`);
    expect(JSON.parse((await operate('dead-letters', 'list', '--json')).stdout)).toMatchObject({
      deadLetters: [{ eventId: NO_ID, reason: 'too large', blocked: 0 }],
    });
    const discarded = await operate('dead-letters', 'discard', NO_ID.toLowerCase());
    expect(discarded).toMatchObject({ code: 0, stdout: expect.stringContaining('"paymentId"') });
    expect((await operate('dead-letters', 'list')).stdout).toBe('no dead letters\n');
  });
});

test('the API is called over mutual TLS and with a token', { timeout: LIMIT_MS }, async () => {
  const authority = createAuthority();
  const server = authority.issue({ dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] });
  const client = authority.issue({ commonName: 'operator' });
  const key = await signingKey('key-1');
  const path = filesIn({
    'ca.crt': authority.cert,
    'tls.crt': server.cert,
    'tls.key': server.key,
    'client.crt': client.cert,
    'client.key': client.key,
    'jwks.json': JSON.stringify({ keys: [key.jwk] }),
    token: `${await key.token({ exp: Math.floor(Date.now() / 1_000) + 3_600 })}\n`,
    'poor-token': await key.token({ exp: Math.floor(Date.now() / 1_000) + 3_600, scope: 'payments.authorize' }),
  });
  const api = await system.startApi({
    TLS_CERT_FILE: path('tls.crt'),
    TLS_KEY_FILE: path('tls.key'),
    TLS_CLIENT_CA_FILE: path('ca.crt'),
    AUTH_JWKS_FILE: path('jwks.json'),
    AUTH_ISSUER: ISSUER,
    AUTH_AUDIENCE: AUDIENCE,
  });
  const variables = {
    LEDGER_ADDRESS: api.address,
    LEDGER_CA_FILE: path('ca.crt'),
    LEDGER_CERT_FILE: path('client.crt'),
    LEDGER_KEY_FILE: path('client.key'),
    LEDGER_DEADLINE_MS: '120000',
  };
  const balance = ['balance', 'acc-b'];
  expect(await runLedger([...balance, '--token-file', path('token')], variables)).toMatchObject({
    code: 0,
    stderr: '',
  });

  const nobody = await runLedgerHere(balance, variables);
  expect(nobody.code).toBe(6);
  expect(nobody.stderr).toMatch(/UNAUTHENTICATED TOKEN_MISSING[\s\S]*--token-file/);
  const poor = await runLedgerHere(balance, { ...variables, LEDGER_TOKEN_FILE: path('poor-token') });
  expect(poor.code).toBe(6);
  expect(poor.stderr).toContain('PERMISSION_DENIED SCOPE_MISSING');
  const inClear = await runLedgerHere(balance, { LEDGER_ADDRESS: api.address });
  expect(inClear.code).toBe(5);
});
