import { ExecutePaymentBatchRequest, type PaymentBatchItem } from '../gen/payment/v1/payment.ts';
import { CommandError, ExitCode } from './exit-codes.ts';

type Reader = (value: unknown, place: string) => unknown;
type Fields = Readonly<Record<string, Reader>>;

const NOTES: Fields = { description: text, reference: text, metadata };
const PAYMENT: Fields = { payerAccountId: text, payeeAccountId: text, amountCents: int64, currency: text, ...NOTES };
const ACTION: Fields = { paymentId: text, ...NOTES };

const KINDS: Fields = {
  transfer: message(PAYMENT),
  hold: message({ ...PAYMENT, ttl: duration }),
  capture: message({ ...ACTION, amountCents: int64, keepRemainder: flag }),
  void: message(ACTION),
  refund: message({ ...ACTION, amountCents: int64 }),
};

/**
 * The batch that a JSON text is, in protobuf's form of JSON. Stricter than that: a field
 * that is misspelt, null or a number beyond 2^53 would be another amount, so it is an error.
 */
export function parseBatch(json: string): ExecutePaymentBatchRequest {
  const fields = message({ idempotencyKey: text, items })(parseJson(json), '') as object;
  return ExecutePaymentBatchRequest.fromPartial(fields);
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    return wrong('', `It is not JSON: ${(error as Error).message}`);
  }
}

/** Names of fields are as the proto has them, or in camelCase. */
function message(fields: Fields): Reader {
  return (value, place) => {
    const read: Record<string, unknown> = {};
    for (const [name, inner] of Object.entries(object(value, place))) {
      const at = place === '' ? name : `${place}.${name}`;
      const field = name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
      if (!Object.hasOwn(fields, field)) wrong(at, 'There is no such field.');
      if (Object.hasOwn(read, field)) wrong(at, 'It is there twice.');
      read[field] = fields[field]!(inner, at);
    }
    return read;
  };
}

function items(value: unknown, place: string): Partial<PaymentBatchItem>[] {
  if (!Array.isArray(value)) return wrong(place, 'It is a list.');
  return value.map((each: unknown, index) => {
    const at = `${place}[${index}]`;
    const item = message(KINDS)(each, at) as Partial<PaymentBatchItem>;
    if (Object.keys(item).length === 1) return item;
    return wrong(at, `It is one of ${Object.keys(KINDS).join(', ')}.`);
  });
}

function object(value: unknown, place: string): object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  return wrong(place, 'It is an object.');
}

function text(value: unknown, place: string): string {
  return typeof value === 'string' ? value : wrong(place, 'It is a string.');
}

function flag(value: unknown, place: string): boolean {
  return typeof value === 'boolean' ? value : wrong(place, 'It is true or false.');
}

function int64(value: unknown, place: string): bigint {
  const digits = typeof value === 'string' && /^-?\d{1,19}$/.test(value);
  if (!digits && !Number.isSafeInteger(value)) {
    return wrong(place, 'It is a whole number, beyond 2^53 as a string of digits.');
  }
  const number = BigInt(value as string | number);
  return BigInt.asIntN(64, number) === number ? number : wrong(place, 'It is a number of 64 bits.');
}

function duration(value: unknown, place: string): { seconds: bigint; nanos: number } {
  const [, seconds, fraction = ''] = (typeof value === 'string' && /^(\d{1,12})(?:\.(\d{1,9}))?s$/.exec(value)) || [];
  if (seconds === undefined) return wrong(place, 'It is seconds, such as "3600s".');
  return { seconds: BigInt(seconds), nanos: Number(fraction.padEnd(9, '0')) };
}

function metadata(value: unknown, place: string): object {
  const entries = object(value, place);
  for (const [key, note] of Object.entries(entries)) text(note, `${place}[${JSON.stringify(key)}]`);
  return entries;
}

function wrong(place: string, problem: string): never {
  throw new CommandError(place === '' ? problem : `${place}: ${problem}`, ExitCode.USAGE);
}
