import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, mkdtemp, readFile, rm } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { AccountType } from '../../src/gen/payment/v1/account.ts';
import { LedgerClient } from '../../tools/client.ts';
import { freePorts } from '../../tools/stack/free-port.ts';
import { primaryGroup, serverUser, standIn } from '../../tools/stack/server-user.ts';
import { tlsChannel } from '../support/callers.ts';
import { findPostgres } from '../support/postgres-servers.ts';
import { retryingCalls } from '../support/retrying-calls.ts';
import { failureKinds, startTraffic, until } from '../support/traffic.ts';

const ROOT = process.cwd();
const CHAPTER = '## A trial on one machine';

const postgres = await findPostgres();
const missing = whatIsMissing();
if (missing !== undefined) console.warn(`SKIPPED: the trial of docs/operations.md was not run: ${missing}`);

function whatIsMissing(): string | undefined {
  if (typeof postgres === 'string') return postgres;
  // Postgres refuses to run as root, so the operator is another user, who has to read the code.
  return standIn(ROOT) === ROOT ? undefined : `another user than root has no way to ${ROOT}`;
}

/** The commands of the chapter, block by block, as they stand in docs/operations.md. */
async function blocks(): Promise<string[]> {
  const text = await readFile(join(ROOT, 'docs/operations.md'), 'utf8');
  const chapter = text.slice(text.indexOf(CHAPTER)).split(/^## /m)[1] ?? '';
  return [...chapter.matchAll(/^```sh\n(.*?)^```/gms)].map((match) => match[1]!);
}

/** A shell in which an operator types block after block. */
class Operator {
  readonly #shell: ChildProcessWithoutNullStreams;
  #output = '';
  #ended = false;

  constructor(folder: string, env: Record<string, string>) {
    const uid = serverUser();
    this.#shell = spawn('bash', ['-e'], {
      cwd: folder,
      env,
      // With all it starts it is one group, so that nothing of it is left behind.
      detached: true,
      ...(uid !== undefined && { uid, gid: primaryGroup(uid) }),
    });
    for (const stream of [this.#shell.stdout, this.#shell.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        this.#output += chunk;
      });
    }
    this.#shell.once('exit', () => {
      this.#ended = true;
    });
  }

  /** Returns what the block printed; throws with it if a command of it fails. */
  async type(block: string): Promise<string> {
    const done = `done-${crypto.randomUUID()}`;
    const from = this.#output.length;
    this.#shell.stdin.write(`${block}\necho ${done}\n`);
    await until(async () => this.#ended || this.#output.includes(done), 'the end of a block', 300_000);
    const printed = this.#output.slice(from);
    if (this.#ended) throw new Error(`the shell ended in this block:\n${block}\nIt printed:\n${printed}`);
    return printed.replace(done, '');
  }

  async leave(): Promise<void> {
    this.#shell.stdin.end();
    await until(async () => this.#ended, 'the end of the shell');
    end(-this.#shell.pid!, 'SIGKILL');
  }
}

/** Ends a process, or a group of them, that may have ended by itself. */
function end(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

describe.skipIf(missing !== undefined)('the trial of docs/operations.md, from an empty folder', () => {
  let folder: string;
  let operator: Operator;
  let ports: number[];

  beforeAll(async () => {
    if (typeof postgres === 'string') throw new Error(postgres);
    folder = await mkdtemp('/var/tmp/payment-ledger-trial-');
    const uid = serverUser();
    if (uid !== undefined) await chown(folder, uid, primaryGroup(uid));
    ports = await freePorts(3);
    operator = new Operator(folder, {
      PATH: [postgres.programs, dirname(process.execPath), process.env['PATH']].join(delimiter),
      NODE_NO_WARNINGS: '1',
      CODE: ROOT,
      REDIS_URL: inject('redisUrl'),
      KAFKA_BROKERS: inject('kafkaBrokers'),
      KAFKA_TOPIC: `payment.events.trial.${process.pid}`,
      PGPORT: String(ports[0]),
      API_PORTS: ports.slice(1).join(' '),
      // The traffic of this test is more than a payer may send.
      RATE_LIMIT_CAPACITY: '1000000',
      RATE_LIMIT_REFILL_PER_SECOND: '1000000',
      // On a busy machine a call in flight may take longer than the ten seconds that a replica gives it.
      SHUTDOWN_GRACE_MS: '60000',
    });
  });
  afterAll(async () => {
    await operator?.leave();
    // Postgres has left the shell's group; after the last block it has stopped, and this file is gone.
    const pidFile = join(folder, 'data/postmaster.pid');
    if (existsSync(pidFile)) end(Number((await readFile(pidFile, 'utf8')).split('\n')[0]), 'SIGQUIT');
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  async function connect(): Promise<LedgerClient> {
    const [authority, token] = await Promise.all(
      ['ca.crt', 'token'].map((name) => readFile(join(folder, name), 'utf8')),
    );
    const target = `ipv4:${ports
      .slice(1)
      .map((port) => `127.0.0.1:${port}`)
      .join(',')}`;
    return new LedgerClient(target, tlsChannel(authority!), token!, {
      ...retryingCalls('round_robin'),
      'grpc.ssl_target_name_override': 'localhost',
      // A busy machine starts replicas slowly, and clients wait ever longer for one that is away.
      'grpc.max_reconnect_backoff_ms': 1_000,
    });
  }

  test('every command works as written, no payment fails in the restarts, and books and events agree after the restore', async () => {
    const startedAt = performance.now();
    const all = await blocks();
    const restarts = all.findIndex((block) => block.startsWith('# Restart'));
    const restore = all.findIndex((block) => block.startsWith('# Lose the server'));
    expect(restarts).toBeGreaterThan(0);
    expect(restore).toBeGreaterThan(restarts);
    for (const block of all.slice(0, restarts)) await operator.type(block);

    const client = await connect();
    const accounts = ['a', 'b', 'c', 'd'];
    for (const account of accounts) {
      await client.open(account, {
        currency: 'RUB',
        type: AccountType.ACCOUNT_TYPE_CUSTOMER,
        overdraftLimitCents: 1_000_000n,
      });
    }
    const traffic = startTraffic([client], accounts, 4);
    await traffic.untilPaid(20);
    for (const block of all.slice(restarts, restore)) await operator.type(block);
    await traffic.untilPaid(20);
    await traffic.stop();
    client.close();
    expect(failureKinds(traffic.failed)).toEqual([]);

    let printed = '';
    for (const block of all.slice(restore)) printed += await operator.type(block);
    // Those of the commands are paid beside the traffic.
    expect(printed).toMatch(/the books balance/);
    expect(printed).toMatch(/every payment and account change has its event/);
    const [, examined] = /(\d+) payments examined/.exec(printed) ?? [];
    expect(Number(examined)).toBe(traffic.paid.length + 4);
    console.log(
      `the trial took ${Math.round((performance.now() - startedAt) / 1_000)} s; ${examined} payments, none lost or failed`,
    );
  }, 600_000);
});
