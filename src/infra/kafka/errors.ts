import { MultipleErrors, ProtocolError } from '@platformatic/kafka';
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
  const rejection = answersIn(error).find((answer) => REJECTIONS.has(answer['apiId']));
  if (rejection === undefined) return error;
  return new EventRejectedError(`${rejection['apiId']}: ${rejection.message}`, { cause: error });
}

/** The name of the first answer of a broker within an error of @platformatic/kafka; undefined where none answered. */
export function answerName(error: unknown): string | undefined {
  return answersIn(error)[0]?.['apiId'];
}

/** The broker's answers within an error of @platformatic/kafka, which nests them by request and partition. */
function answersIn(error: unknown): ProtocolError[] {
  if (error instanceof ProtocolError) return [error];
  return error instanceof MultipleErrors ? error.errors.flatMap(answersIn) : [];
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
