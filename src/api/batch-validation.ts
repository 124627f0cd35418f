import type { FieldViolation } from '../app/errors.ts';
import type {
  CaptureItem,
  ExecutePaymentBatchRequest,
  HoldItem,
  PaymentBatchItem,
  TransferItem,
} from '../gen/payment/v1/payment.ts';
import { ttl } from './hold-validation.ts';
import { accountId, currency, noteViolations, rejectIf, text } from './validation.ts';

// As validation.ts, for batches.

const MAX_ITEMS = 100;
/** What an answer's metadata has room for. */
const MAX_VIOLATIONS = 20;

/** By the field of an item: what is wrong with it. */
const ITEM_CHECKS = {
  transfer: partiesViolations,
  hold: (item: HoldItem) => [...partiesViolations(item), ttl('ttl', item.ttl)],
  capture: laterViolations,
  void: laterViolations,
  refund: laterViolations,
} satisfies { [Kind in keyof PaymentBatchItem]: (item: never) => (FieldViolation | undefined)[] };

type Kind = keyof typeof ITEM_CHECKS;

const KINDS = Object.keys(ITEM_CHECKS) as Kind[];

/** Amounts are not among them, as with the methods of the kinds. */
export function checkExecutePaymentBatch({ idempotencyKey, items }: ExecutePaymentBatchRequest): void {
  const many = items.length < 1 || items.length > MAX_ITEMS;
  const violations = [
    text('idempotency_key', idempotencyKey, 1, 255),
    many ? { field: 'items', description: `must be 1 to ${MAX_ITEMS}, not ${items.length}` } : undefined,
    ...(many ? [] : items.flatMap(itemViolations)),
  ];
  rejectIf(...violations.filter((violation) => violation !== undefined).slice(0, MAX_VIOLATIONS));
}

/** The kind of a checked item, which is its field in the request. */
export function kindOf(item: PaymentBatchItem): Kind {
  return KINDS.find((kind) => item[kind] !== undefined)!;
}

function itemViolations(item: PaymentBatchItem, index: number): (FieldViolation | undefined)[] {
  const field = `items[${index}]`;
  // A field of newer clients that is not known here has no kind; from the wire, two of them may come.
  if (KINDS.filter((kind) => item[kind] !== undefined).length !== 1) {
    return [{ field, description: `must have exactly one of ${KINDS.join(', ')}` }];
  }
  const kind = kindOf(item);
  const check = ITEM_CHECKS[kind] as (item: PaymentBatchItem[Kind]) => (FieldViolation | undefined)[];
  return check(item[kind]).map(
    (violation) => violation && { ...violation, field: `${field}.${kind}.${violation.field}` },
  );
}

function partiesViolations(item: TransferItem): (FieldViolation | undefined)[] {
  return [
    accountId('payer_account_id', item.payerAccountId),
    accountId('payee_account_id', item.payeeAccountId),
    currency('currency', item.currency),
    ...noteViolations(item),
  ];
}

/** Whether the id is a ULID is left to the look-up, as in checkGetPayment. */
function laterViolations(
  item: Pick<CaptureItem, 'paymentId' | 'description' | 'reference' | 'metadata'>,
): (FieldViolation | undefined)[] {
  return [text('payment_id', item.paymentId, 1, 64), ...noteViolations(item)];
}
