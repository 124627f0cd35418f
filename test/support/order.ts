import type { ReceivedEvent } from '../../tools/events.ts';

/**
 * What is wrong with the order in which events arrived, leaving repeats out: for each
 * payer the versions of what changed its account must rise. An empty list is well.
 */
export function disorder(events: readonly ReceivedEvent[]): string[] {
  const seen = new Set<string>();
  const lastVersion = new Map<string, bigint>();
  const problems: string[] = [];
  for (const { eventId, key, value } of events) {
    if (seen.has(eventId)) continue;
    seen.add(eventId);
    const { payer } = JSON.parse(value) as { payer?: { version: string } };
    if (payer === undefined) continue;
    const version = BigInt(payer.version);
    const last = lastVersion.get(key) ?? 0n;
    if (version <= last) problems.push(`${key}: version ${version} came after ${last}`);
    lastVersion.set(key, version);
  }
  return problems;
}
