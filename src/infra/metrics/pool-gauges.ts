import type pg from 'pg';
import { Gauge, type Registry } from 'prom-client';

/** What the process's pools of connections to Postgres are doing, by the names they have here. */
export function poolGauges(registry: Registry, pools: Readonly<Record<string, pg.Pool>>): void {
  poolGauge(registry, pools, 'in_use', 'Connections that somebody uses.', (pool) => pool.totalCount - pool.idleCount);
  poolGauge(registry, pools, 'idle', 'Open connections that nobody uses.', (pool) => pool.idleCount);
  poolGauge(registry, pools, 'waiting', 'Who waits for a connection.', (pool) => pool.waitingCount);
  poolGauge(registry, pools, 'size', 'The most connections the pool opens.', (pool) => pool.options.max);
}

function poolGauge(
  registry: Registry,
  pools: Readonly<Record<string, pg.Pool>>,
  what: string,
  help: string,
  read: (pool: pg.Pool) => number,
): void {
  const gauge: Gauge<'pool'> = new Gauge({
    name: `payment_ledger_postgres_pool_${what}`,
    help,
    labelNames: ['pool'],
    registers: [registry],
    collect() {
      for (const [name, pool] of Object.entries(pools)) gauge.set({ pool: name }, read(pool));
    },
  });
}
