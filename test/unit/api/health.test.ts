import { EventEmitter } from 'node:events';
import type { Server } from '@grpc/grpc-js';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { Health, MAX_WATCH_CALLS } from '../../../src/api/health.ts';

type Watch = (call: unknown) => void;

function openWatch(watch: Watch, service: string) {
  const written: unknown[] = [];
  const errors: { code: number }[] = [];
  const call = Object.assign(new EventEmitter(), { request: { service }, write: (m: unknown) => written.push(m) });
  call.on('error', (error) => errors.push(error));
  watch(call);
  return { call, written, errors };
}

function watchOf(): Watch {
  const health = new Health({ services: ['a.B'], probe: async () => undefined, log: pino({ level: 'silent' }) });
  let watch: Watch | undefined;
  health.addTo({
    addService: (_: unknown, handlers: { watch: Watch }) => (watch = handlers.watch),
  } as unknown as Server);
  if (watch === undefined) throw new Error('No Watch handler was added');
  return watch;
}

test('a Watch of an unknown service answers SERVICE_UNKNOWN and leaves no listener of the package', () => {
  const { call, written } = openWatch(watchOf(), 'x'.repeat(10_000));
  expect(written).toEqual([{ status: 'SERVICE_UNKNOWN' }]);
  expect(call.listenerCount('cancelled')).toBe(1);
});

test('open Watch calls are bounded, and a cancelled one makes room', () => {
  const watch = watchOf();
  const opened = Array.from({ length: MAX_WATCH_CALLS }, (_, i) => openWatch(watch, `unknown-${i}`));
  expect(openWatch(watch, '').errors).toMatchObject([{ code: 8 }]);
  opened[0]?.call.emit('cancelled');
  expect(openWatch(watch, '').errors).toEqual([]);
});
