import { type Action, type BatchWhole, isSameMetadata, type Metadata, type PaymentRequest } from './payment.ts';

/** What a caller asks for by one of the methods that move money, as far as it makes two requests the same. */
export type ActionRequest =
  | ({ readonly kind: 'PAYMENT' } & PaymentRequest)
  | ({ readonly kind: 'HOLD'; readonly ttlMs: number } & PaymentRequest)
  | (LaterRequest & {
      readonly kind: 'CAPTURE';
      /** Undefined is all that is held. */
      readonly requestedCents: bigint | undefined;
      readonly keepRemainder: boolean;
    })
  | (LaterRequest & { readonly kind: 'VOID' })
  | (LaterRequest & {
      readonly kind: 'REFUND';
      /** Undefined is all that can be refunded. */
      readonly requestedCents: bigint | undefined;
    });

interface LaterRequest {
  readonly payment: { readonly paymentId: string };
  readonly reference?: string | undefined;
  readonly metadata?: Metadata | undefined;
}

/** The fields by their names in the proto; description is none of them. */
type Identity = Readonly<Record<string, string | bigint | number | boolean | Metadata | undefined>>;

/**
 * The fields in which a request differs from the one that an action was made by; empty
 * if they ask for the same. Of two methods, "method" and what both requests have.
 */
export function differingFields(request: ActionRequest, original: Action): string[] {
  if (original.batch !== undefined) return ['method'];
  const [one, other] = [identityOf(request), identityOfAction(original)];
  const common = Object.keys(one).filter((field) => field in other && !isSame(one[field], other[field]));
  return request.kind === original.kind ? common : ['method', ...common];
}

/** The same for a batch and the first action that its key leads to. */
export function differingInBatch({ digest }: Pick<BatchWhole, 'digest'>, { batch }: Action): string[] {
  if (batch?.whole === undefined) return ['method'];
  return batch.whole.digest === digest ? [] : ['items'];
}

/**
 * One text for all batches that ask for the same. What is not given or has its default is
 * left out, so that a field that comes later changes no text of a request without it.
 */
export function canonicalBatch(items: readonly ActionRequest[]): string {
  return JSON.stringify(items.map((item) => [item.kind, sorted(identityOf(item))]));
}

function sorted(fields: Identity | Metadata): [string, unknown][] {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined && value !== false)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([field, value]) => [field, typeof value === 'object' ? sorted(value) : value!.toString()]);
}

function identityOf(request: ActionRequest): Identity {
  const { reference, metadata } = request;
  switch (request.kind) {
    case 'PAYMENT':
      return paymentIdentity(request);
    case 'HOLD':
      return { ...paymentIdentity(request), ttl: request.ttlMs };
    case 'CAPTURE': {
      const { payment, requestedCents, keepRemainder } = request;
      return { paymentId: payment.paymentId, amountCents: requestedCents, keepRemainder, reference, metadata };
    }
    case 'VOID':
      return { paymentId: request.payment.paymentId, reference, metadata };
    case 'REFUND':
      return { paymentId: request.payment.paymentId, amountCents: request.requestedCents, reference, metadata };
  }
}

function identityOfAction(action: Action): Identity {
  const { kind, paymentId, requestedCents, keepRemainder, reference, metadata } = action;
  switch (kind) {
    case 'PAYMENT':
      return paymentIdentity(action);
    case 'HOLD':
      return { ...paymentIdentity(action), ttl: action.expiresAt!.getTime() - action.createdAt.getTime() };
    case 'CAPTURE':
      return { paymentId, amountCents: requestedCents, keepRemainder, reference, metadata };
    case 'VOID':
    case 'EXPIRY':
      return { paymentId, reference, metadata };
    case 'REFUND':
      return { paymentId, amountCents: requestedCents, reference, metadata };
  }
}

function paymentIdentity(request: PaymentRequest): Identity {
  const { payerAccountId, payeeAccountId, amountCents, currency, reference, metadata } = request;
  return { payerAccountId, payeeAccountId, amountCents, currency, reference, metadata };
}

function isSame(one: Identity[string], other: Identity[string]): boolean {
  return typeof one === 'object' || typeof other === 'object'
    ? isSameMetadata(one as Metadata | undefined, other as Metadata | undefined)
    : one === other;
}
