import type { Registry } from 'prom-client';

/** How often token buckets of a kind decided which way. */
export async function decisions(
  registry: Registry,
  kind: 'redis' | 'local',
): Promise<Readonly<Record<'allowed' | 'limited', number>>> {
  const { values } = await registry.getSingleMetric('payment_ledger_rate_limit_decisions_total')!.get();
  const of = (decision: string) =>
    values.find(({ labels }) => labels['buckets'] === kind && labels['decision'] === decision)!.value;
  return { allowed: of('allowed'), limited: of('limited') };
}

/** How often buckets of the process itself decided. */
export async function fallbacks(registry: Registry): Promise<number> {
  const { allowed, limited } = await decisions(registry, 'local');
  return allowed + limited;
}
