import { randomUUID } from 'node:crypto';
import { type Command, InvalidArgumentError } from 'commander';
import {
  AuthorizePaymentRequest,
  type AuthorizePaymentResponse,
  type PaymentError,
  paymentErrorCodeToJSON,
  paymentStatusToJSON,
} from '../../gen/payment/v1/payment.ts';
import { withApi, withApiUsage } from '../api-command.ts';
import { CommandError, ExitCode } from '../exit-codes.ts';
import { fields, json, shortName } from '../output.ts';
import { parseInt64 } from '../settings.ts';

const ABOUT = `Authorizes a payment: moves the amount from the payer to the payee, at once and for good.

Without --key it makes an idempotency key and shows it. After exit code 5 the payment may or may not exist: the same
command with the same --key finds out, and never pays twice. Needs the scope payments.authorize, and
accounts.admin as well if the payer is an EXTERNAL account.`;

const EXAMPLES = [
  'ledger pay --payer acc-001 --payee acc-002 --amount-cents 10000 --currency RUB',
  'ledger pay --payer acc-001 --payee acc-002 --amount-cents 10000 --currency RUB --key order-17 --reference order-17 --metadata shop=north',
];

interface Options {
  readonly payer: string;
  readonly payee: string;
  readonly amountCents: bigint;
  readonly currency: string;
  readonly key?: string;
  readonly description?: string;
  readonly reference?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly json?: boolean;
}

export function addPay(program: Command, end: (exitCode: ExitCode) => void): void {
  const command = program.command('pay').summary('authorize a payment').description(ABOUT);
  command
    .requiredOption('--payer <account-id>', 'the account that pays')
    .requiredOption('--payee <account-id>', 'the account that is paid')
    .requiredOption('--amount-cents <cents>', 'in minor units of the currency: cents, kopecks, yen', parseInt64)
    .requiredOption('--currency <code>', 'ISO 4217 in capitals, that of both accounts')
    .option('--key <key>', 'the idempotency key, one for each payment; a new UUID if it is left out')
    .option('--description <text>', 'for people')
    .option('--reference <text>', 'what the payment is for in your own books')
    .option('--metadata <key=value>', 'a note of your own; may be given several times', parseMetadata)
    .option('--json', 'for programs');
  withApiUsage(command, EXAMPLES, {
    0: 'the money has moved, now or by an earlier call with the key',
    4: 'declined: no money has moved',
    7: 'the key belongs to another payment',
  }).action(async (options: Options) => {
    const key = options.key ?? randomUUID();
    const response = await authorize(command, key, options);
    const { status, originalStatus, error, paymentId, processedAt } = toJson(key, response);
    const shown = {
      status: originalStatus === null ? status : `${status} of a payment that was ${originalStatus}`,
      payment: paymentId ?? 'none was stored: the key may be used again',
      key,
      decided: processedAt,
      declined: error === null ? undefined : `${error.code}: ${error.message}`,
    };
    console.log(options.json ? json(toJson(key, response)) : fields(shown));
    end(error === null ? ExitCode.DONE : ExitCode.DECLINED);
  });
}

async function authorize(command: Command, key: string, options: Options): Promise<AuthorizePaymentResponse> {
  const request = AuthorizePaymentRequest.fromPartial({
    idempotencyKey: key,
    payerAccountId: options.payer,
    payeeAccountId: options.payee,
    amountCents: options.amountCents,
    currency: options.currency,
    description: options.description ?? '',
    reference: options.reference ?? '',
    metadata: options.metadata ?? {},
  });
  try {
    return await withApi(command, (api) => api.call(api.payments, api.payments.authorizePayment, request));
  } catch (error) {
    if (!(error instanceof CommandError) || error.exitCode !== ExitCode.UNAVAILABLE) throw error;
    const hint = `The payment may or may not exist. The same command with --key ${key} finds out, and never pays twice.`;
    throw new CommandError(`${error.message}\n${hint}`, error.exitCode, { cause: error });
  }
}

function toJson(idempotencyKey: string, response: AuthorizePaymentResponse) {
  const { status, originalStatus, paymentId, processedAt, error } = response;
  const original = shortName(paymentStatusToJSON(originalStatus));
  return {
    status: shortName(paymentStatusToJSON(status)),
    originalStatus: original === 'UNSPECIFIED' ? null : original,
    paymentId: paymentId === '' ? null : paymentId,
    idempotencyKey,
    processedAt,
    error: error === undefined ? null : { ...declineJson(error), retryAfterMs: error.retryAfterMs },
  };
}

export function declineJson({ code, message }: PaymentError) {
  return { code: shortName(paymentErrorCodeToJSON(code)), message };
}

/** Adds one to those before. */
export function parseMetadata(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [, key, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (key === undefined || value === undefined) throw new InvalidArgumentError('It is key=value.');
  if (Object.hasOwn(before, key)) throw new InvalidArgumentError(`There are two of key ${key}.`);
  return { ...before, [key]: value };
}
