import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { pathOf } from '../../../src/cli/help.ts';
import { commandsOf, ledgerProgram } from '../../../src/cli/program.ts';
import { run } from '../../../src/cli/run.ts';
import { runLedger } from '../../support/command-line.ts';

const LIMIT_MS = 120_000;

/** Nothing listens on port 1. */
const NOWHERE = 'postgres://nobody:secret@127.0.0.1:1/none';
const ID = '01M85Q3TTE820EZ9PCVSPH2JRN';

/** Each command, and arguments that it takes. */
const COMMANDS: [name: string, usual: string[], needs: 'DATABASE_URL' | 'KAFKA_BROKERS' | 'NOTHING'][] = [
  ['accounts open', ['acc-1', '--currency', 'RUB'], 'NOTHING'],
  ['accounts update', ['acc-1', '--overdraft-limit-cents', '1'], 'NOTHING'],
  ['accounts freeze', ['acc-1'], 'NOTHING'],
  ['accounts unfreeze', ['acc-1'], 'NOTHING'],
  ['accounts close', ['acc-1'], 'NOTHING'],
  ['accounts show', ['acc-1'], 'NOTHING'],
  ['accounts list', [], 'NOTHING'],
  ['pay', ['--payer', 'a', '--payee', 'b', '--amount-cents', '1', '--currency', 'RUB'], 'NOTHING'],
  ['hold', ['--payer', 'a', '--payee', 'b', '--amount-cents', '1', '--currency', 'RUB'], 'NOTHING'],
  ['capture', [ID], 'NOTHING'],
  ['void', [ID], 'NOTHING'],
  ['refund', [ID], 'NOTHING'],
  ['batch', ['order-17.json'], 'NOTHING'],
  ['payment show', [ID], 'NOTHING'],
  ['payment actions', [ID], 'NOTHING'],
  ['balance', ['acc-1'], 'NOTHING'],
  ['statement', ['acc-1'], 'NOTHING'],
  ['migrate', [], 'DATABASE_URL'],
  ['verify', [], 'DATABASE_URL'],
  ['outbox status', [], 'DATABASE_URL'],
  ['dead-letters list', [], 'DATABASE_URL'],
  ['dead-letters redrive', [ID], 'DATABASE_URL'],
  ['dead-letters discard', [ID], 'DATABASE_URL'],
  ['replay', ['--account', 'acc-1'], 'DATABASE_URL'],
  ['events tail', [], 'KAFKA_BROKERS'],
  ['events export', [], 'DATABASE_URL'],
  ['id', [ID], 'NOTHING'],
  ['completion', ['bash'], 'NOTHING'],
];

let stdout = '';
let stderr = '';

beforeEach(() => {
  stdout = '';
  stderr = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += String(text);
    return true;
  });
  vi.spyOn(console, 'log').mockImplementation((text) => {
    stdout += `${text}\n`;
  });
  vi.spyOn(console, 'error').mockImplementation((text) => {
    stderr += `${text}\n`;
  });
  vi.stubEnv('DATABASE_URL', '');
  vi.stubEnv('KAFKA_BROKERS', '');
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

const leaves = commandsOf(ledgerProgram(() => undefined)).filter(({ commands }) => commands.length === 0);

test('every command is tested here and is in docs/cli.md', () => {
  const names = leaves.map((command) => pathOf(command).replace('ledger ', ''));
  expect(names.toSorted()).toEqual(COMMANDS.map(([name]) => name).toSorted());
  const documented = readFileSync('docs/cli.md', 'utf8');
  for (const name of names) expect(documented).toContain(`### ledger ${name}\n`);
});

describe.each(COMMANDS)('ledger %s', (name, usual, needs) => {
  const command = name.split(' ');

  test('--help says how it is used, with an example and the exit codes, and succeeds', async () => {
    expect(await run([...command, '--help'])).toBe(0);
    expect(stderr).toBe('');
    for (const part of [`Usage: ledger ${name}`, 'Exit codes: 0', '2 usage error']) expect(stdout).toContain(part);
    expect(stdout.split(/^Examples?:$/m)[1]).toContain(`ledger ${name}`);
    if (needs !== 'NOTHING') expect(stdout).toContain(needs);
  });

  test.each(['--no-such-option', 'surplus'])('%s is a usage error', async (more) => {
    expect(await run([...command, ...usual, more])).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain(`Usage: ledger ${name}`);
    if (more.startsWith('--')) expect(stderr).toContain(more);
  });

  if (needs !== 'NOTHING')
    test('a variable that is missing is a usage error that names it', async () => {
      expect(await run([...command, ...usual])).toBe(2);
      expect(stderr).toContain(`${needs} is not set`);
    });
});

test.each([
  [['verify', '--since', '2026-11-01T00:00:00Z'], '--since goes with --events'],
  [['verify', '--events', '--since', 'yesterday'], 'RFC 3339'],
  [['verify', '--events', '--since', '2026-11-01T00:00:00'], 'RFC 3339'],
  [['replay'], '--from and --to, or --account, or --payment'],
  [['replay', '--from', '2026-11-01T00:00:00Z'], '--from and --to go together'],
  [['replay', '--from', '2026-11-02T00:00:00Z', '--to', '2026-11-01T00:00:00Z'], '--from must be before --to'],
  [['replay', '--account', 'a', '--payment', ID], '--account, or --payment'],
  [['replay', '--payment', '01M85'], 'ULID'],
  [['pay', '--payer', 'a', '--payee', 'b', '--amount-cents', '1.5', '--currency', 'RUB'], '--amount-cents'],
  [
    ['pay', '--payer', 'a', '--payee', 'b', '--amount-cents', '9223372036854775808', '--currency', 'RUB'],
    '--amount-cents',
  ],
  [['pay', '--payer', 'a', '--payee', 'b', '--amount-cents', '1'], '--currency'],
  [['pay', '--payer', 'a', '--payee', 'b', '--amount-cents', '1', '--currency', 'RUB', '--metadata', 'x'], 'key=value'],
  [
    ['hold', '--payer', 'a', '--payee', 'b', '--amount-cents', '1', '--currency', 'RUB', '--ttl-seconds', '0'],
    '--ttl-seconds',
  ],
  [['capture'], "missing required argument 'payment-id'"],
  [['capture', ID, '--amount-cents', '-1'], '--amount-cents'],
  [['void', 'order-17'], 'ULID'],
  [['refund', ID, '--amount-cents', ''], '--amount-cents'],
  [['payment', 'actions', ID, '--limit', '0'], '--limit'],
  [['accounts', 'update', 'a'], '--overdraft-limit-cents, --metadata or --clear-metadata'],
  [['accounts', 'update', 'a', '--metadata', 'x=1', '--clear-metadata'], '--metadata or --clear-metadata, not both'],
  [['payment', 'show'], 'by its id or by --key'],
  [['payment', 'show', ID, '--key', 'k'], 'by its id or by --key'],
  [['balance', 'a', '--at', '2026-11-01T00:00:00Z', '--version', '1'], '--at or --version'],
  [['balance', 'a', '--address', 'nowhere'], '--address: must be host:port'],
  [['balance', 'a', '--ca-file', '/no/such/file'], '--ca-file names a file that cannot be read: ENOENT'],
  [['balance', 'a', '--deadline-ms', '0'], '--deadline-ms'],
  [['accounts', 'open', 'a', '--currency', 'RUB', '--type', 'bank'], 'customer, external'],
  [['events', 'tail', '--from-beginning', '--from', '2026-11-01T00:00:00Z'], 'cannot be used'],
  [['statement', 'a', '--limit', '0'], '--limit'],
  [['completion', 'fish'], 'bash, zsh'],
  [['nothing-such'], "unknown command 'nothing-such'"],
  [['dead-letters'], 'Usage: ledger dead-letters'],
  [[], 'Usage: ledger'],
])('%j is a usage error that says why', async (args, why) => {
  expect(await run(args)).toBe(2);
  expect(stdout).toBe('');
  expect(stderr).toContain(why);
});

test('a token is not sent in clear to another machine', async () => {
  vi.stubEnv('LEDGER_TOKEN', 'planted');
  expect(await run(['balance', 'a', '--address', 'ledger.example:50051'])).toBe(2);
  expect(stderr).toContain('LEDGER_TOKEN: would cross the network in clear');
  expect(stderr).not.toContain('planted');
});

test('id shows both forms of an id, whichever is given', async () => {
  expect(await run(['id', '01a20b71-eb4e-4080-efa6-ccde6d114b15', '--json'])).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    ulid: ID,
    uuid: '01a20b71-eb4e-4080-efa6-ccde6d114b15',
    time: '2026-11-24T02:45:44.910Z',
  });
  stdout = '';
  expect(await run(['id', ID.toLowerCase()])).toBe(0);
  expect(stdout).toContain('uuid  01a20b71-eb4e-4080-efa6-ccde6d114b15\n');
});

describe('as a process', () => {
  test('a database that is unreachable is a failure, told without a stack or the password', {
    timeout: LIMIT_MS,
  }, async () => {
    for (const args of [['migrate'], ['verify'], ['dead-letters', 'list']]) {
      const { code, stderr: said } = await runLedger(args, { DATABASE_URL: NOWHERE });
      expect(code).toBe(1);
      expect(said).toContain('ECONNREFUSED');
      expect(said).not.toMatch(/^\s+at /m);
      expect(said).not.toContain('secret');
    }
  });

  test('an API that is unreachable ends with 5 and says how to name another', { timeout: LIMIT_MS }, async () => {
    const { code, stderr: said } = await runLedger(['balance', 'acc-1'], { LEDGER_ADDRESS: '127.0.0.1:1' });
    expect(code).toBe(5);
    expect(said).toMatch(/^UNAVAILABLE: [\s\S]*--address/);
    expect(said).not.toMatch(/^\s+at /m);
  });
});
