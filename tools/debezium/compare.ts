import { isDeepStrictEqual } from 'node:util';
import { cloudEvent } from '../../src/infra/kafka/cloud-event.ts';
import type { PendingEvent } from '../../src/relay/ports.ts';
import type { ReceivedEvent } from '../events.ts';

/**
 * How the records differ from those that the relay would have sent of these events, given
 * in the order of their positions. What Debezium cannot do better is allowed: other white
 * space in the value, more digits in ce_time, and the headers of the row as one, "headers".
 */
export function differences(received: readonly ReceivedEvent[], events: readonly PendingEvent[]): string[] {
  const problems: string[] = [];
  const expected = new Map(events.map((event) => [event.eventId, event]));
  for (const record of received) {
    const event = expected.get(record.eventId);
    const where = `${record.eventId} (partition ${record.partition}, offset ${record.offset})`;
    if (event === undefined) {
      problems.push(`${where} is no event`);
      continue;
    }
    const { key, value, headers } = expectedRecord(event);
    const { headers: rowHeaders, ce_time: time, ...others } = record.headers;
    const checks: Record<string, [unknown, unknown]> = {
      key: [record.key, key],
      partition: [record.partition, event.shard],
      value: [JSON.parse(record.value), JSON.parse(value)],
      headers: [{ ...others, ce_time: new Date(time ?? '').toJSON() }, headers],
      'row headers': [JSON.parse(rowHeaders ?? 'null'), event.headers],
    };
    for (const [what, [actual, wanted]] of Object.entries(checks)) {
      if (isDeepStrictEqual(actual, wanted)) continue;
      problems.push(`${where}: ${what} ${JSON.stringify(actual)} instead of ${JSON.stringify(wanted)}`);
    }
  }
  return [...problems, ...disorder(received, events)];
}

function expectedRecord(event: PendingEvent) {
  const { key, value, headers } = cloudEvent({ ...event, headers: {} }, '/payment-ledger');
  return { key: String(key), value: String(value), headers };
}

/** For each key, the first deliveries must be its events, each once and in order. */
function disorder(received: readonly ReceivedEvent[], events: readonly PendingEvent[]): string[] {
  const seen = new Set<string>();
  const first = received.filter(({ eventId }) => !seen.has(eventId) && seen.add(eventId));
  const arrived = idsByKey(first);
  const written = idsByKey(events);
  return [...written.keys()]
    .filter((key) => !isDeepStrictEqual(arrived.get(key), written.get(key)))
    .map((key) => `${key}: its events came in another order, or not all of them`);
}

function idsByKey(events: readonly { key: string; eventId: string }[]): Map<string, string[]> {
  const ids = new Map<string, string[]>();
  for (const { key, eventId } of events) ids.set(key, [...(ids.get(key) ?? []), eventId]);
  return ids;
}
