import { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { guard } from '../../../src/api/reflection.ts';

test('a long name is rejected before the look-up, and reading stops while answers are unread', () => {
  const written: unknown[] = [];
  const stream = new Duplex({
    objectMode: true,
    read: () => undefined,
    write: (m) => void written.push(m),
    writableHighWaterMark: 1,
  });
  const looked: unknown[] = [];
  guard(stream as never).on('data', (m) => looked.push(m));
  stream.emit('data', { fileContainingSymbol: 'a.B' });
  expect(looked).toHaveLength(1);
  stream.emit('data', { fileContainingSymbol: 'x.'.repeat(200) });
  expect(looked).toHaveLength(1);
  expect(written).toMatchObject([{ messageResponse: 'errorResponse' }]);
  expect(stream.isPaused()).toBe(true);
});

test('one request of a stream is answered in a turn of the event loop, so that others have theirs between', async () => {
  const stream = new Duplex({ objectMode: true, read: () => undefined, write: (_message, _encoding, done) => done() });
  let turn = 0;
  const turns: number[] = [];
  guard(stream as never).on('data', () => turns.push(turn));
  for (let i = 0; i < 10; i++) stream.push({ fileContainingSymbol: 'a.B' });
  while (turns.length < 10) {
    await new Promise((resolve) => setImmediate(resolve));
    turn += 1;
  }
  expect(new Set(turns).size).toBe(10);
});
