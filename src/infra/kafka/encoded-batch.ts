import { promisify } from 'node:util';
import { gzip as gzipWithCallback } from 'node:zlib';
import kafkajs, { type CompressionTypes, type Message } from 'kafkajs';
import { encodeRecords, type KafkaRecord } from './records.ts';

// kafkajs encodes with a buffer of 512 bytes for each record and each header, which
// would be most of the relay's work and memory. So it is given stand-ins, as many as
// there are records, and a codec of ours in its registry of compression codecs, which
// answers with the records themselves where kafkajs asks for the stand-ins compressed.
// Connections, leaders, the produce request and its answer stay with kafkajs.
// docs/adr/0007-records-are-encoded-here.md says why this is safe.

const gzip = promisify(gzipWithCallback);

/**
 * Kafka's number of a compression is in the lowest three bits, and kafkajs sends no
 * others; by the fourth it finds our codecs. Nobody else can meet them by mistake, and
 * without them kafkajs fails before it sends anything.
 */
const OURS = 8;
const PLAIN = OURS | 0;
const GZIP = OURS | 1;
/** Below this, compressing costs more than it saves. */
const COMPRESS_FROM_BYTES = 16_384;

const codecs = kafkajs.CompressionCodecs as Record<number, () => object>;
codecs[PLAIN] = () => ({ compress: async ({ buffer }: Handed) => recordsFor(buffer) });
codecs[GZIP] = () => ({ compress: async ({ buffer }: Handed) => gzip(recordsFor(buffer)) });

/** What kafkajs hands to a codec. */
interface Handed {
  readonly buffer: Buffer;
}

interface Batch {
  readonly standIns: Buffer;
  readonly records: Buffer;
  taken: boolean;
}

/** Batches that are being sent. */
const sending = new Set<Batch>();
let batches = 0;

/** What kafkajs is to send. */
interface StandIns {
  readonly messages: Message[];
  readonly compression: CompressionTypes;
}

/**
 * Sends the records, at least one, to the partition, through kafkajs, as one batch;
 * their time is the time of sending. Nothing is sent if kafkajs does not encode its
 * stand-ins as expected.
 */
export async function sendEncoded<Answer>(
  partition: number,
  records: readonly KafkaRecord[],
  send: (standIns: StandIns) => Promise<Answer>,
): Promise<Answer> {
  if (records.length === 0) throw new Error('Bug! A batch without records');
  const messages = standIns(partition, records.length);
  const batch: Batch = { standIns: encodeRecords(messages), records: encodeRecords(records), taken: false };
  const compression = batch.records.length < COMPRESS_FROM_BYTES ? PLAIN : GZIP;
  sending.add(batch);
  try {
    const answer = await send({ messages, compression });
    if (!batch.taken) throw new Error('Bug! kafkajs sent a batch without asking for its records');
    return answer;
  } finally {
    sending.delete(batch);
  }
}

/** So many messages, of which the first names the batch. */
function standIns(partition: number, count: number): (KafkaRecord & Message)[] {
  const empty = { partition, key: null, value: null, headers: {} };
  batches += 1;
  const messages: (KafkaRecord & Message)[] = new Array(count).fill(empty);
  messages[0] = { ...empty, value: String(batches) };
  return messages;
}

function recordsFor(handed: Buffer): Buffer {
  for (const batch of sending) {
    if (!batch.standIns.equals(handed)) continue;
    batch.taken = true;
    return batch.records;
  }
  throw new Error('Bug! kafkajs does not encode stand-ins as it did: nothing was sent');
}
