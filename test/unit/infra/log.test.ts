import { expect, test } from 'vitest';
import { createLog, loggedError } from '../../../src/infra/log.ts';

test('the log shows of an error and its causes neither what clients add to them nor credentials', () => {
  const cause = Object.assign(new Error('WRONGPASS invalid username-password pair'), {
    command: { name: 'auth', args: ['planted-secret'] },
    config: { password: 'planted-secret' },
  });
  const error = Object.assign(new Error('No answer from redis://:planted-secret@cache:6379/0', { cause }), {
    code: 'ECONNREFUSED',
  });
  const logged = loggedError(error);
  expect(JSON.stringify(logged)).not.toContain('planted-secret');
  expect(logged).toMatchObject({
    type: 'Error',
    message: 'No answer from redis://***@cache:6379/0',
    code: 'ECONNREFUSED',
    cause: { message: 'WRONGPASS invalid username-password pair' },
  });
});

test('the log shows the errors that another one stands for, in the same way', () => {
  const refused = Object.assign(new Error('refused by redis://:planted-secret@cache:6379'), {
    password: 'planted-secret',
  });
  const logged = loggedError(new AggregateError(new Array(10).fill(refused), 'no server answers'));
  expect(JSON.stringify(logged)).not.toContain('planted-secret');
  const each = { message: 'refused by redis://***@cache:6379' };
  expect(logged).toMatchObject({ message: 'no server answers', errors: [each, each, each] });
});

test('levels have names and times are ISO 8601', () => {
  const lines: string[] = [];
  createLog('info', { process: 'test', pid: 1 }, { write: (line) => void lines.push(line) }).warn('hello');
  expect(JSON.parse(lines[0]!)).toMatchObject({
    level: 'warn',
    process: 'test',
    msg: 'hello',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
  });
});
