/** Redis pub/sub channel on which the API says that events were committed; the message is ignored. */
export const OUTBOX_CHANNEL = 'payment-ledger:outbox';
/** Redis pub/sub channel on which relay workers say that shards came free or workers joined. */
export const SHARDS_CHANNEL = 'payment-ledger:shards';
