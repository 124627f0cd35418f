import { readFileSync } from 'node:fs';
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';

const PACKAGE = new URL('../../../package.json', import.meta.url);

/** A registry with what any process tells of itself: memory, processor, event loop, garbage collection, version. */
export function processRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const { version } = JSON.parse(readFileSync(PACKAGE, 'utf8')) as { version: string };
  new Gauge({
    name: 'payment_ledger_build_info',
    help: 'Always 1; the labels say which version runs, on which Node.',
    labelNames: ['version', 'node_version'],
    registers: [registry],
  }).set({ version, node_version: process.versions.node }, 1);
  return registry;
}
