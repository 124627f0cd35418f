import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { bashCompletion, zshCompletion } from '../../../src/cli/completion.ts';
import { ledgerProgram } from '../../../src/cli/program.ts';

const program = ledgerProgram(() => undefined);

/** What bash offers for the last of the words. */
function offered(...words: string[]): string[] {
  const script = `${bashCompletion(program)}
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); _ledger; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { status, stdout, stderr } = spawnSync('bash', ['-c', script, 'bash', 'ledger', ...words], {
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout.split('\n').filter((word) => word !== '');
}

test.each([
  [['de'], ['dead-letters']],
  [
    ['dead-letters', ''],
    ['list', 'redrive', 'discard', '--help'],
  ],
  [['dead-letters', 'list', '--j'], ['--json']],
  [
    ['accounts', 'list', '--type', ''],
    ['customer', 'external'],
  ],
  [['events', 'tail', '--type', 'd'], ['declined']],
  [
    ['completion', ''],
    ['bash', 'zsh', '--help'],
  ],
  [
    ['pay', '--payer', 'accounts', '--payee', 'list', '--c'],
    ['--currency', '--ca-file', '--cert-file'],
  ],
  [['pay', '--ca-file', ''], []],
])('bash is offered for %j', (words, expected) => {
  expect(offered(...words)).toEqual(expected);
});

test('zsh runs the same script once it has what bash has', () => {
  expect(zshCompletion(program)).toMatch(/bashcompinit\n[\s\S]*complete -o default -F _ledger ledger\n$/);
});
