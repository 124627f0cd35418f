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
