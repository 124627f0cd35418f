import { execFile } from 'node:child_process';
import { copyFileSync, mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify, stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cacheFolder, which } from '../../tools/stack/cache.ts';
import { auditBooks } from '../support/books.ts';
import { filesIn } from '../support/callers.ts';
import { createAuthority } from '../support/certificates.ts';
import { type LateAnswers, startLateAnswers } from '../support/late-answers.ts';
import { createSystem, type System } from '../support/system.ts';
import { AUDIENCE, ISSUER, signingKey } from '../support/tokens.ts';

// The callers of examples/, as docs/clients.md tells to make and run them, against a
// service that wants TLS and a token, has small buckets and answers late.

const ROOT = join(import.meta.dirname, '../..');
const CACHE = cacheFolder(process.env);
/** Downloads and compilers, on a busy machine. */
const PREPARED_WITHIN_MS = 900_000;
const RUN_WITHIN_MS = 180_000;

const LATE_MS = 400;
/** No answer can come so soon, but the payment is made. */
const SHORT_DEADLINE_MS = 200;

let system: System;
let late: LateAnswers;
let flags: string[];

beforeAll(async () => {
  system = await createSystem();
  const authority = createAuthority();
  const server = authority.issue({ ipAddresses: ['127.0.0.1'] });
  const key = await signingKey('key-1');
  const path = filesIn({
    'tls.crt': server.cert,
    'tls.key': server.key,
    'ca.crt': authority.cert,
    'jwks.json': JSON.stringify({ keys: [key.jwk] }),
    token: await key.token({ exp: Math.floor(Date.now() / 1_000) + 86_400 }),
  });
  const { address } = await system.startApi({
    TLS_CERT_FILE: path('tls.crt'),
    TLS_KEY_FILE: path('tls.key'),
    AUTH_JWKS_FILE: path('jwks.json'),
    AUTH_ISSUER: ISSUER,
    AUTH_AUDIENCE: AUDIENCE,
    RATE_LIMIT_CAPACITY: '20',
    RATE_LIMIT_REFILL_PER_SECOND: '10',
  });
  late = await startLateAnswers(address, LATE_MS);
  flags = ['--address', late.address, '--ca', path('ca.crt'), '--token-file', path('token')];
});
afterAll(async () => {
  await late?.close();
  await system?.close();
});

/** Runs a program and returns what it printed; its errors have all of that. */
async function run(command: string, args: string[], cwd: string, env: Record<string, string> = {}): Promise<string> {
  const options = { cwd, env: { ...process.env, ...env }, maxBuffer: 2 ** 26 };
  const { stdout } = await promisify(execFile)(command, args, options).catch((error) => {
    throw new Error(`${command} ${args.join(' ')} ended with ${error.code}:\n${error.stdout}\n${error.stderr}`);
  });
  return stdout;
}

/** The lines that every caller prints, and what the books say of them. */
async function expectAllHandled(output: string): Promise<void> {
  // Maven ends with a code that resets the colours of terminals.
  const lines = stripVTControlCharacters(output).trim().split('\n');
  const ulid = '[0-7][0-9A-HJKMNP-TV-Z]{25}';
  expect(lines).toEqual([
    expect.stringMatching(`^paid: ${ulid}$`),
    expect.stringMatching(`^sent again: paid before, once, as ${lines[0]!.slice('paid: '.length)}$`),
    'declined: INSUFFICIENT_FUNDS',
    'declined, sent again: not paid: INSUFFICIENT_FUNDS',
    expect.stringMatching(`^timed out [1-9]\\d* times: paid once, as ${ulid}$`),
    expect.stringMatching(/^rate limited [1-9]\d* times: \d+ payments, all paid in the end$/),
  ]);
  const burst = /: (\d+) payments/.exec(lines[5]!)![1]!;
  const paymentId = lines[0]!.slice('paid: '.length);
  const [payer] = await system.database.query<{ payer: string }>(
    `select payload->>'payerAccountId' as payer from outbox where payload->>'paymentId' = $1`,
    [paymentId],
  );
  const payments = await system.database.query<{ amount_cents: bigint; status: string; count: bigint }>(
    `select amount_cents, status, count(*) from payments where payer_account_id = $1 group by 1, 2 order by 1`,
    [payer!.payer],
  );
  expect(payments).toEqual([
    { amount_cents: 1n, status: 'AUTHORIZED', count: BigInt(burst) },
    { amount_cents: 100n, status: 'AUTHORIZED', count: 1n },
    { amount_cents: 2_500n, status: 'AUTHORIZED', count: 1n },
    { amount_cents: 1_000_000_000n, status: 'DECLINED', count: 1n },
  ]);
  expect(await auditBooks(system.database)).toEqual([]);
}

describe.skipIf(which('npm') === undefined)('a Node caller, with the packed client in an empty project', () => {
  let project: string;
  beforeAll(async () => {
    project = mkdtempSync(join(tmpdir(), 'payment-ledger-node-caller-'));
    await run('npm', ['pack', './packages/client', '--pack-destination', project], ROOT);
    writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'caller', type: 'module', private: true }));
    const archives = ['payment-ledger-client-0.2.0.tgz'];
    await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', ...archives], project);
    copyFileSync(join(ROOT, 'examples/node/main.mjs'), join(project, 'main.mjs'));
  }, PREPARED_WITHIN_MS);
  afterAll(() => rm(project, { recursive: true, force: true }));

  test(
    'pays, and handles a decline, duplicates, a time-out and a rate limit',
    async () => {
      const args = ['main.mjs', ...flags, '--short-deadline', String(SHORT_DEADLINE_MS)];
      await expectAllHandled(await run(process.execPath, args, project));
    },
    RUN_WITHIN_MS,
  );

  test(
    'has types that TypeScript understands, and that keep a caller from what is wrong',
    async () => {
      writeFileSync(
        join(project, 'caller.ts'),
        `import { LedgerClient, newIdempotencyKey, PaymentDeclinedError } from '@payment-ledger/client';
const ledger = new LedgerClient('localhost:50051', { insecure: true });
const accounts = { payerAccountId: 'a', payeeAccountId: 'b', currency: 'RUB' };
const { paymentId } = await ledger.authorizePayment({ ...accounts, idempotencyKey: newIdempotencyKey(), amountCents: 1n });
const id: string = paymentId;
for await (const payment of ledger.listPayments({ accountId: id })) console.log(payment.decline?.code);
const { payment } = await ledger.holdPayment({ ...accounts, idempotencyKey: 'k', amountCents: 1n, ttlMs: 1_000 });
for await (const { type } of ledger.listPaymentActions(payment.paymentId)) console.log(type.toLowerCase());
await ledger.freezeAccount('a', { only: 'DEBITS' });
// @ts-expect-error what is frozen has a name
await ledger.freezeAccount('a', { only: 'PAYMENTS' });
// @ts-expect-error a key is never left out
await ledger.capturePayment({ paymentId: payment.paymentId });
// @ts-expect-error a key is never left out
await ledger.authorizePayment({ ...accounts, amountCents: 1n });
// @ts-expect-error an amount is a bigint
await ledger.authorizePayment({ ...accounts, idempotencyKey: 'k', amountCents: 1 });
// @ts-expect-error decline is no field of errors in general
(error: Error) => error.decline;
(error: PaymentDeclinedError) => error.code.toUpperCase();
`,
      );
      const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2022', '--types', 'node'];
      await run(join(ROOT, 'node_modules/.bin/tsc'), [...options, 'caller.ts'], project);
    },
    RUN_WITHIN_MS,
  );
});

describe.skipIf(which('go') === undefined)('a Go caller (skipped where there is no go)', () => {
  const folder = join(ROOT, 'examples/go');
  const env = {
    GOMODCACHE: join(CACHE, 'go/mod'),
    GOCACHE: join(CACHE, 'go/build'),
    // What the cache holds can be removed by whoever removes the cache.
    GOFLAGS: '-modcacherw',
  };
  beforeAll(() => run('npx', ['buf', 'generate'], folder, env), PREPARED_WITHIN_MS);

  test(
    'pays, and handles a decline, duplicates, a time-out and a rate limit',
    async () => {
      const args = ['run', '.', ...flags, '--short-deadline', `${SHORT_DEADLINE_MS}ms`];
      await expectAllHandled(await run('go', args, folder, env));
    },
    PREPARED_WITHIN_MS,
  );
});

describe.skipIf(which('python3') === undefined)('a Python caller (skipped where there is no python3)', () => {
  const folder = join(ROOT, 'examples/python');
  const venv = join(CACHE, 'python-caller');
  const python = join(venv, 'bin/python');
  beforeAll(async () => {
    await run('python3', ['-m', 'venv', venv], folder);
    await run(python, ['-m', 'pip', 'install', '--quiet', '--requirement', 'requirements.txt'], folder);
    await run('sh', ['generate.sh'], folder, { PATH: `${join(venv, 'bin')}:${process.env['PATH']}` });
  }, PREPARED_WITHIN_MS);

  test(
    'pays, and handles a decline, duplicates, a time-out and a rate limit',
    async () => {
      const args = ['main.py', ...flags, '--short-deadline', String(SHORT_DEADLINE_MS / 1_000)];
      await expectAllHandled(await run(python, args, folder));
    },
    RUN_WITHIN_MS,
  );
});

describe.skipIf(which('mvn') === undefined)('a Java caller (skipped where there is no mvn)', () => {
  const folder = join(ROOT, 'examples/java');
  const maven = (...args: string[]) =>
    run('mvn', ['--batch-mode', '--quiet', `-Dmaven.repo.local=${join(CACHE, 'java-caller')}`, ...args], folder);
  beforeAll(() => maven('compile'), PREPARED_WITHIN_MS);

  test(
    'pays, and handles a decline, duplicates, a time-out and a rate limit',
    async () => {
      const args = [...flags, '--short-deadline', String(SHORT_DEADLINE_MS)];
      await expectAllHandled(await maven('compile', 'exec:java', `-Dexec.args=${args.join(' ')}`));
    },
    PREPARED_WITHIN_MS,
  );
});
