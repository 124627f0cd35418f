// An abuse process: does one abuse after another that its parent orders, and ends with it.
import type { Abuse, Order, Report, Running } from './abuse.ts';
import { lockAccount, lockKey } from './locks.ts';
import { reflectLongSymbols, watchUnknown } from './streams.ts';
import { openInWaves, readInWaves } from './unary.ts';

const report = (message: Report) => process.send?.(message);
let running: Promise<Running> | undefined;

function start(address: string, abuse: Abuse): Promise<Running> {
  switch (abuse.kind) {
    case 'locked account':
      return lockAccount(address, abuse);
    case 'locked key':
      return lockKey(address, abuse);
    case 'watches':
      return watchUnknown(address);
    case 'reflection':
      return reflectLongSymbols(address);
    case 'openings':
      return openInWaves(address);
    case 'reads':
      return readInWaves(address, abuse.accounts);
  }
}

async function obey(order: Order): Promise<void> {
  if (order.kind === 'start') {
    running = start(order.address, order.abuse);
    await running;
    report({ kind: 'began' });
  } else {
    report({ kind: 'ended', outcomes: (await (await running)?.stop()) ?? {} });
  }
}

process.on('message', (order: Order) => {
  obey(order).catch((error: Error) => report({ kind: 'failed', message: error.message }));
});
process.on('disconnect', () => process.exit());
// Ctrl-C reaches every process of the terminal; the parent decides when we end.
process.on('SIGINT', () => undefined);
