// A caller of Payment Ledger: pays, and shows what becomes of each kind of answer.
import { equal, ok } from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  LedgerClient,
  newIdempotencyKey,
  OutcomeUnknownError,
  PaymentDeclinedError,
  RateLimitedError,
} from '@payment-ledger/client';

const HELP = `usage: node main.mjs [options]
  --address HOST:PORT   of the service (localhost:50051)
  --tls                 encrypt, trusting the authorities of Node
  --ca FILE             encrypt, trusting only the authorities in this PEM file
  --token-file FILE     a file with a bearer token
  --short-deadline MS   a deadline that the service cannot keep (1)
  --burst COUNT         the most payments to make until the payer is limited (1000)`;

/** How often the outcome of one payment is asked for before a person has to look at it. */
const MOST_CALLS = 8;

const { values: options } = parseArgs({
  options: {
    address: { type: 'string', default: 'localhost:50051' },
    tls: { type: 'boolean', default: false },
    ca: { type: 'string' },
    'token-file': { type: 'string' },
    'short-deadline': { type: 'string', default: '1' },
    burst: { type: 'string', default: '1000' },
    help: { type: 'boolean', default: false },
  },
});

/**
 * Calls until it is certain what became of the payment, and resolves once it is paid.
 * Throws PaymentDeclinedError if it was declined, by this call or an earlier one.
 */
async function pay(ledger, payment, firstTimeoutMs) {
  let timedOut = 0;
  let rateLimited = 0;
  for (let call = 1; ; call++) {
    try {
      const timeout = call === 1 && firstTimeoutMs !== undefined ? { timeoutMs: firstTimeoutMs } : {};
      const paid = await ledger.authorizePayment(payment, timeout);
      return { ...paid, timedOut, rateLimited };
    } catch (error) {
      // The payment may have been made: the same call with the same key tells, and pays if not.
      const unknown = error instanceof OutcomeUnknownError;
      const limited = error instanceof RateLimitedError;
      if (call === MOST_CALLS || !(unknown || limited)) throw error;
      if (unknown) timedOut += 1;
      if (limited) rateLimited += 1;
      const waitMs = Math.min(100 * 2 ** call, 2_000) * (0.5 + Math.random() / 2);
      await sleep(limited ? Math.max(waitMs, error.retryAfterMs) : waitMs);
    }
  }
}

/** The decline that the payment ends with. */
async function decline(ledger, payment) {
  const outcome = await pay(ledger, payment).catch((error) => error);
  ok(outcome instanceof PaymentDeclinedError, outcome);
  return outcome;
}

function newPayment(payerAccountId, payeeAccountId, amountCents) {
  // A real caller stores the key with what is paid for, before the first call.
  return { idempotencyKey: newIdempotencyKey(), payerAccountId, payeeAccountId, amountCents, currency: 'RUB' };
}

async function burstUntilLimited(ledger, payer, payee) {
  let paid = 0;
  let limited = 0;
  const payUntilLimited = async () => {
    while (limited === 0 && paid < Number(options.burst)) {
      const { rateLimited } = await pay(ledger, newPayment(payer, payee, 1n));
      paid += 1;
      limited += rateLimited;
    }
  };
  await Promise.all(Array.from({ length: 20 }, payUntilLimited));
  console.log(`rate limited ${limited} times: ${paid} payments, all paid in the end`);
}

async function main() {
  const tokenFile = options['token-file'];
  const ledger = new LedgerClient(options.address, {
    ...(options.ca ? { tls: { ca: readFileSync(options.ca, 'utf8') } } : { insecure: !options.tls }),
    // Read for each call, as whoever renews the token replaces the file.
    ...(tokenFile ? { token: () => readFileSync(tokenFile, 'utf8').trim() } : {}),
  });
  const name = randomUUID().slice(0, 8);
  const [world, payer, payee] = [`world-${name}`, `payer-${name}`, `payee-${name}`];
  await ledger.openAccount({ accountId: world, currency: 'RUB', type: 'EXTERNAL' });
  await ledger.openAccount({ accountId: payer, currency: 'RUB' });
  await ledger.openAccount({ accountId: payee, currency: 'RUB' });
  await pay(ledger, newPayment(world, payer, 100_000n));

  const lunch = newPayment(payer, payee, 2_500n);
  const first = await pay(ledger, lunch);
  equal(first.duplicate, false);
  console.log('paid:', first.paymentId);

  const again = await pay(ledger, lunch);
  equal(again.paymentId, first.paymentId);
  ok(again.duplicate);
  console.log('sent again: paid before, once, as', again.paymentId);

  const yacht = newPayment(payer, payee, 1_000_000_000n);
  console.log('declined:', (await decline(ledger, yacht)).code);
  const declinedAgain = await decline(ledger, yacht);
  ok(declinedAgain.duplicate);
  console.log('declined, sent again: not paid:', declinedAgain.code);

  const late = await pay(ledger, newPayment(payer, payee, 100n), Number(options['short-deadline']));
  console.log(`timed out ${late.timedOut} times: paid once, as ${late.paymentId}`);

  await burstUntilLimited(ledger, payer, payee);
  ledger.close();
}

if (options.help) console.log(HELP);
else await main();
