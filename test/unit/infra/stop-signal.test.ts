import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { onStopSignal } from '../../../src/infra/stop-signal.ts';

const log = { info: () => undefined, warn: () => undefined };
const stop = vi.fn();
const exit = vi.fn();
let signals: EventEmitter;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
  vi.clearAllMocks();
  signals = new EventEmitter();
  onStopSignal(Object.assign(signals, { exit }) as unknown as NodeJS.Process, log, stop);
});
afterEach(() => vi.useRealTimers());

test('a Ctrl-C that arrives twice stops once', () => {
  signals.emit('SIGINT', 'SIGINT');
  vi.advanceTimersByTime(900);
  signals.emit('SIGINT', 'SIGINT');
  expect(stop).toHaveBeenCalledOnce();
  expect(exit).not.toHaveBeenCalled();
});

test('a second signal ends the process', () => {
  signals.emit('SIGTERM', 'SIGTERM');
  vi.advanceTimersByTime(1_100);
  signals.emit('SIGINT', 'SIGINT');
  expect(stop).toHaveBeenCalledOnce();
  expect(exit).toHaveBeenCalledWith(1);
});
