import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';

const LIMIT_MS = 60_000;

/** Nothing listens on port 1. */
const NOWHERE = 'postgres://nobody:secret@127.0.0.1:1/none';

function ledger(args: readonly string[], env: Record<string, string> = {}) {
  return spawnSync(process.execPath, ['src/cli/main.ts', ...args], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], ...env },
  });
}

describe.each([
  ['migrate', []],
  ['verify', []],
  ['replay', ['--account', 'acc-001']],
  ['dead-letters list', []],
  ['dead-letters redrive', ['01M85Q3TTE820EZ9PCVSPH2JRN']],
  ['outbox status', []],
])('ledger %s', (name, usual) => {
  const command = name.split(' ');

  test('--help says how it is used and what its exit codes mean, and succeeds', { timeout: LIMIT_MS }, () => {
    const { status, stdout, stderr } = ledger([...command, '--help']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    for (const part of [`Usage: ledger ${name}`, 'Example', 'DATABASE_URL', 'Exit codes: 0', '2 usage error']) {
      expect(stdout).toContain(part);
    }
  });

  test('an unknown option is a usage error', { timeout: LIMIT_MS }, () => {
    const { status, stdout, stderr } = ledger([...command, ...usual, '--no-such-option'], { DATABASE_URL: NOWHERE });
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('--no-such-option');
    expect(stderr).toContain(`Usage: ledger ${name}`);
  });

  test('an argument too many is a usage error', { timeout: LIMIT_MS }, () => {
    const { status, stderr } = ledger([...command, ...usual, 'surplus'], { DATABASE_URL: NOWHERE });
    expect(status).toBe(2);
    expect(stderr).toContain(`Usage: ledger ${name}`);
  });

  test('no database named is a usage error', { timeout: LIMIT_MS }, () => {
    const { status, stderr } = ledger([...command, ...usual]);
    expect(status).toBe(2);
    expect(stderr).toContain('DATABASE_URL is not set');
  });

  test('a database that is unreachable is a failure, told without a stack or the password', {
    timeout: LIMIT_MS,
  }, () => {
    const { status, stderr } = ledger([...command, ...usual], { DATABASE_URL: NOWHERE });
    expect(status).toBe(1);
    expect(stderr).toContain('ECONNREFUSED');
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(stderr).not.toContain('secret');
  });
});
