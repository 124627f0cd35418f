export interface IdempotencyKeys {
  /**
   * Deletes up to limit keys that are older than the retention by the database's clock,
   * in a transaction of its own. Returns how many.
   */
  expire(retentionDays: number, limit: number): Promise<number>;
}

/** Few enough that the locks of one transaction last for milliseconds. */
const KEYS_AT_A_TIME = 5_000;

/**
 * Forgets idempotency keys after the retention: a call that repeats one later is a new
 * payment. Returns how many. Throws if Postgres is unreachable.
 */
export async function expireKeys(keys: IdempotencyKeys, retentionDays: number): Promise<number> {
  let expired = 0;
  for (;;) {
    const count = await keys.expire(retentionDays, KEYS_AT_A_TIME);
    expired += count;
    if (count < KEYS_AT_A_TIME) return expired;
  }
}
