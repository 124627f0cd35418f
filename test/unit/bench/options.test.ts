import { expect, test } from 'vitest';
import { BENCHES, HELP, parseOptions } from '../../../bench/options.ts';

test('without a name all benchmarks run; the help names each', () => {
  expect(parseOptions([]).benches).toEqual(BENCHES);
  for (const name of BENCHES) expect(HELP).toContain(`\n  ${name} `);
});

test('names and options are taken', () => {
  const options = parseOptions(['read', '--rounds', '3', '--seconds', '0.5', '--sizes', '10000,20000']);
  expect(options).toMatchObject({
    benches: ['read'],
    rounds: 3,
    durationMs: 500,
    sizes: [10_000, 20_000],
    charts: false,
  });
  expect(parseOptions(['charts'])).toMatchObject({ benches: [], charts: true });
});

test('what is no option is rejected', () => {
  for (const args of [['reed'], ['--rounds', 'many'], ['--sizes', '1,0'], ['--client', 'curl'], ['--fast']]) {
    expect(() => parseOptions(args)).toThrow();
  }
});
