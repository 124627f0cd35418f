import { batched } from '../../../app/batcher.ts';

/**
 * Statements in flight at a time, so that a slow read does not hold up those after it,
 * and keys in one statement.
 */
const LIMITS = { slots: 2, maxBatch: 256 };

/**
 * Looks up by one statement what many callers ask for at the same time: a statement of
 * one row costs this process about as much as one of twenty. Every statement is sent
 * after its callers came, so they see all that was committed before they asked.
 *
 * read returns what it finds, by idOf(key), which is the key itself if that is text;
 * there is undefined for a key under which there is nothing. Rejects as read does.
 */
export function sharedReads<Key, Value>(
  read: (keys: readonly Key[]) => Promise<ReadonlyMap<string, Value>>,
  idOf: (key: Key) => string,
): (key: Key) => Promise<Value | undefined>;
export function sharedReads<Value>(
  read: (keys: readonly string[]) => Promise<ReadonlyMap<string, Value>>,
): (key: string) => Promise<Value | undefined>;
export function sharedReads<Key, Value>(
  read: (keys: readonly Key[]) => Promise<ReadonlyMap<string, Value>>,
  idOf: (key: Key) => string = String,
): (key: Key) => Promise<Value | undefined> {
  return batched<Key, Value | undefined>(async (keys) => {
    const unique = new Map(keys.map((key) => [idOf(key), key]));
    const found = await read([...unique.values()]);
    return keys.map((key) => found.get(idOf(key)));
  }, LIMITS);
}
