import { EventRejectedError } from '../../relay/ports.ts';

/**
 * The broker's answers that are about the batch itself, by their names in Kafka's
 * protocol: https://kafka.apache.org/protocol.html#protocol_error_codes.
 *
 * Everything else is sent again: brokers that are down, leaders that move, missing
 * topics and rights, which an operator can restore, and whatever is not known here.
 * INVALID_TIMESTAMP is among those, as the time of a record is our clock's, and
 * CORRUPT_MESSAGE, which is damage on the way.
 */
const REJECTIONS = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'INVALID_RECORD']);

/** What a failed send means: EventRejectedError if repeating it is of no use, the error itself otherwise. */
export function toPublishError(error: unknown): unknown {
  const type = protocolErrorType(error);
  if (type === undefined || !REJECTIONS.has(type)) return error;
  return new EventRejectedError(`${type}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
}

/** kafkajs wraps the broker's answer in errors that say whether it would retry; the answer itself has a type. */
export function protocolErrorType(error: unknown): string | undefined {
  let current = error;
  for (let depth = 0; depth < 5 && current instanceof Error; depth++) {
    if ('type' in current && typeof current.type === 'string') return current.type;
    current = current.cause;
  }
  return undefined;
}
