import { writeFileSync } from 'node:fs';
import { type ChannelCredentials, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AccountServiceClient, AccountType } from '../../src/gen/payment/v1/account.ts';
import {
  type AuthorizePaymentResponse,
  PaymentServiceClient,
  PaymentStatus,
} from '../../src/gen/payment/v1/payment.ts';
import { freePorts } from '../../tools/stack/free-port.ts';
import { auditBooks } from '../support/books.ts';
import { filesIn, tlsChannel } from '../support/callers.ts';
import { createAuthority } from '../support/certificates.ts';
import { retryingCalls } from '../support/retrying-calls.ts';
import { type ApiProcess, createSystem, type System } from '../support/system.ts';

const { PAYMENT_STATUS_AUTHORIZED: AUTHORIZED, PAYMENT_STATUS_DUPLICATE: DUPLICATE } = PaymentStatus;
const ACCOUNTS = ['a', 'b', 'c', 'd'];
const CALLERS_OF_A_CLIENT = 8;

function mutualTls() {
  const authority = createAuthority();
  const server = authority.issue({ ipAddresses: ['127.0.0.1'] });
  const path = filesIn({ 'tls.crt': server.cert, 'tls.key': server.key, 'ca.crt': authority.cert });
  const scopes = ['payments.authorize', 'payments.read', 'accounts.admin'];
  writeFileSync(path('callers.json'), JSON.stringify([{ caller: 'caller.example', scopes }]));
  return {
    channel: tlsChannel(authority.cert, authority.issue({ dnsNames: ['caller.example'] })),
    env: {
      TLS_CERT_FILE: path('tls.crt'),
      TLS_KEY_FILE: path('tls.key'),
      TLS_CLIENT_CA_FILE: path('ca.crt'),
      AUTH_CALLERS_FILE: path('callers.json'),
    },
  };
}

describe.each<[string, { channel: ChannelCredentials; env: Record<string, string> }]>([
  ['in clear', { channel: credentials.createInsecure(), env: {} }],
  ['with mutual TLS', mutualTls()],
])('two replicas %s that are restarted in turn, again and again', (_wire, { channel, env }) => {
  let system: System;
  let ports: number[];
  let replicas: ApiProcess[];

  const start = (port: number) => system.startApi({ ...env, GRPC_PORT: String(port) });
  const target = () => `ipv4:${ports.map((port) => `127.0.0.1:${port}`).join(',')}`;

  beforeAll(async () => {
    system = await createSystem();
    ports = await freePorts(2);
    replicas = await Promise.all(ports.map(start));
    const accounts = new AccountServiceClient(target(), channel);
    const open = (accountId: string, type: AccountType) =>
      new Promise<void>((resolve, reject) => {
        const request = { accountId, currency: 'RUB', type, overdraftLimitCents: 0n };
        accounts.openAccount(request, (error) => (error === null ? resolve() : reject(error)));
      });
    await open('world', AccountType.ACCOUNT_TYPE_EXTERNAL);
    for (const account of ACCOUNTS) await open(account, AccountType.ACCOUNT_TYPE_CUSTOMER);
    accounts.close();
    const client = newClient('pick_first');
    for (const account of ACCOUNTS) await client.pay('world', account, 1_000_000n);
    client.close();
  });
  afterAll(() => system?.close());

  function newClient(balancing: 'round_robin' | 'pick_first') {
    const stub = new PaymentServiceClient(target(), channel, retryingCalls(balancing));
    /** Replicas that have answered. */
    const peers = new Set<string>();
    return {
      balancing,
      peers,
      pay: (payerAccountId: string, payeeAccountId: string, amountCents: bigint) =>
        new Promise<AuthorizePaymentResponse>((resolve, reject) => {
          const idempotencyKey = crypto.randomUUID();
          const request = {
            idempotencyKey,
            payerAccountId,
            payeeAccountId,
            amountCents,
            currency: 'RUB',
            description: '',
            reference: '',
            metadata: {},
          };
          const call = stub.authorizePayment(request, (error, response) => {
            if (error !== null) return reject(error);
            peers.add(call.getPeer());
            resolve(response);
          });
        }),
      close: () => stub.close(),
    };
  }

  /**
   * As an orchestrator goes on when the new process has been ready for longer than clients
   * take to come back to it. A pick_first client comes when it has to.
   */
  async function isBalancedTo(port: number, clients: readonly ReturnType<typeof newClient>[]): Promise<void> {
    const balanced = clients.filter(({ balancing }) => balancing === 'round_robin');
    for (const { peers } of balanced) peers.clear();
    const missing = () => balanced.filter(({ peers }) => ![...peers].some((peer) => peer.endsWith(`:${port}`)));
    await expect.poll(missing, { timeout: 30_000, interval: 50 }).toEqual([]);
  }

  test('no payment fails and none is made twice', async () => {
    // A pick_first client stays with one replica for as long as it is there.
    const clients = (['round_robin', 'round_robin', 'pick_first', 'pick_first'] as const).map(newClient);
    const paymentIds: string[] = [];
    const failures: string[] = [];
    let running = true;
    const callers = clients.flatMap((client) =>
      Array.from({ length: CALLERS_OF_A_CLIENT }, async (_, caller) => {
        for (let i = caller; running; i++) {
          const payer = ACCOUNTS[i % ACCOUNTS.length]!;
          const payee = ACCOUNTS[(i + 1 + (caller % 3)) % ACCOUNTS.length]!;
          try {
            const { status: paid, originalStatus, paymentId, error } = await client.pay(payer, payee, 1n);
            if (paid === AUTHORIZED || (paid === DUPLICATE && originalStatus === AUTHORIZED))
              paymentIds.push(paymentId);
            else failures.push(`payment status ${paid}: ${error?.message}`);
          } catch (error) {
            const { code, details } = error as ServiceError;
            failures.push(`${status[code]} ${details}`);
          }
        }
      }),
    );

    for (const index of [0, 1, 0, 1, 0, 1]) {
      expect(await replicas[index]!.stop()).toBe(0);
      replicas[index] = await start(ports[index]!);
      await isBalancedTo(ports[index]!, clients);
    }
    running = false;
    await Promise.all(callers);
    for (const client of clients) client.close();

    expect(failures).toEqual([]);
    expect(paymentIds.length).toBeGreaterThan(300);
    expect(new Set(paymentIds).size).toBe(paymentIds.length);
    const [stored] = await system.database.query<{ count: bigint }>('select count(*) from payments');
    expect(stored!.count).toBe(BigInt(paymentIds.length + ACCOUNTS.length));
    expect(await auditBooks(system.database)).toEqual([]);
  }, 240_000);
});
