/**
 * The Kafka partition of a key: murmur2 of its UTF-8 bytes, made positive, modulo
 * the partitions. The same function as the default partitioner of Kafka's Java
 * client (org.apache.kafka.common.utils.Utils.murmur2), so that anyone who
 * produces with the same key lands in the same partition.
 */
export function shardOf(key: string, shards: number): number {
  return (murmur2(Buffer.from(key)) & 0x7fffffff) % shards;
}

function murmur2(bytes: Uint8Array): number {
  const m = 0x5bd1e995;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tail = bytes.length & ~3;
  let h = 0x9747b28c ^ bytes.length;

  for (let i = 0; i < tail; i += 4) {
    let k = Math.imul(view.getInt32(i, true), m);
    k = Math.imul(k ^ (k >>> 24), m);
    h = Math.imul(h, m) ^ k;
  }
  if (bytes.length > tail) {
    for (let i = bytes.length - 1; i >= tail; i--) h ^= view.getUint8(i) << (8 * (i - tail));
    h = Math.imul(h, m);
  }
  h = Math.imul(h ^ (h >>> 13), m);
  return h ^ (h >>> 15);
}
