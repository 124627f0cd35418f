import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import {
  type ExecutePaymentBatchRequest,
  type ExecutePaymentBatchResponse,
  paymentStatusToJSON,
} from '../../gen/payment/v1/payment.ts';
import { withApiUsage } from '../api-command.ts';
import { parseBatch } from '../batch-file.ts';
import { CommandError, ExitCode } from '../exit-codes.ts';
import { callWithKey } from '../keyed-call.ts';
import { fields, json, shortName, table } from '../output.ts';
import { actionJson, declineJson, paymentJson } from '../payment-output.ts';

const ABOUT = `Does all items of a batch as one, or none of them: transfers, holds, captures, voids and refunds, 1 to 100, in their
order. The file is JSON, {"idempotency_key": "…", "items": [{"transfer": {…}}, {"capture": {…}}, …]}, with the fields
that the API has; amounts are numbers or strings of digits, the ttl of a hold is like "3600s".

If the key is neither in the file nor given by --key, the command makes one and shows it. After exit code 5 the same
file with the same key finds out what was done, and never does it twice. Needs the scope payments.authorize, and
accounts.admin as well if an item pays from an EXTERNAL account.`;

const EXAMPLES = ['ledger batch order-17.json', 'ledger batch - --key order-17 < order-17.json'];

const COLUMNS = [
  { title: 'ITEM', number: true },
  { title: 'TYPE' },
  { title: 'AMOUNT (CENTS)', number: true },
  { title: 'RELEASED (CENTS)', number: true },
  { title: 'ACTION' },
  { title: 'PAYMENT' },
  { title: 'STATUS' },
];

interface Options {
  readonly key?: string;
  readonly json?: boolean;
}

export function addBatch(program: Command, end: (exitCode: ExitCode) => void): void {
  const command = program.command('batch').summary('do several of these as one, or none').description(ABOUT);
  command
    .argument('<file>', 'JSON; - is stdin')
    .option('--key <key>', 'the idempotency key, one for each batch, if the file has none')
    .option('--json', 'for programs');
  withApiUsage(command, EXAMPLES, {
    0: 'all is done, now or by an earlier call with the key',
    3: 'there is no such payment as an item names',
    4: 'an item was declined: nothing of the batch is done',
    7: 'the key belongs to another payment, action or batch',
  }).action(async (file: string, options: Options) => {
    const request = withKey(parseBatch(await contentOf(file)), options.key);
    const answer = await callWithKey(command, request.idempotencyKey, (api) =>
      api.call(api.payments, api.payments.executePaymentBatch, request),
    );
    console.log(options.json ? json(batchJson(request.idempotencyKey, answer)) : report(request, answer));
    end(answer.error === undefined ? ExitCode.DONE : ExitCode.DECLINED);
  });
}

async function contentOf(file: string): Promise<string> {
  try {
    return file === '-' ? await text(process.stdin) : await readFile(file, 'utf8');
  } catch (cause) {
    throw new CommandError(`${file} cannot be read: ${(cause as Error).message}`, ExitCode.USAGE, { cause });
  }
}

function withKey(request: ExecutePaymentBatchRequest, key: string | undefined): ExecutePaymentBatchRequest {
  const { idempotencyKey } = request;
  if (key !== undefined && idempotencyKey !== '' && key !== idempotencyKey) {
    throw new CommandError('--key is not the idempotency_key of the file: give one of them.', ExitCode.USAGE);
  }
  return { ...request, idempotencyKey: key ?? (idempotencyKey || randomUUID()) };
}

function batchJson(idempotencyKey: string, answer: ExecutePaymentBatchResponse) {
  const { batchId, replayed, error, declinedItem, actions, payments, createdAt } = answer;
  return {
    idempotencyKey,
    replayed,
    batchId: batchId || null,
    error: error === undefined ? null : { ...declineJson(error), retryAfterMs: error.retryAfterMs },
    declinedItem: declinedItem ?? null,
    createdAt,
    actions: actions.map(actionJson),
    payments: payments.map(paymentJson),
  };
}

function report(request: ExecutePaymentBatchRequest, answer: ExecutePaymentBatchResponse): string {
  const { batchId, replayed, error, declinedItem, actions, payments, createdAt } = answer;
  const done = `BATCH ${error === undefined ? 'done' : 'declined'}`;
  const summary = fields({
    outcome: replayed ? `${done} by an earlier call with this key` : done,
    declined: error && `items[${declinedItem}]: ${declineJson(error).code}: ${error.message}`,
    batch: batchId || 'none was stored: the key may be used again',
    key: request.idempotencyKey,
    decided: createdAt,
  });
  if (error !== undefined) return summary;
  const rows = actions.map(actionJson).map(({ type, amountCents, releasedCents, actionId, paymentId }, item) => {
    const status = shortName(paymentStatusToJSON(payments[item]!.status));
    return [`${item}`, type, `${amountCents}`, `${releasedCents}`, `${actionId}`, `${paymentId}`, status];
  });
  return `${summary}\n\n${table(COLUMNS, rows)}`;
}
