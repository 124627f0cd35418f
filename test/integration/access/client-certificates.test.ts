import { writeFileSync } from 'node:fs';
import type { ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LedgerClient } from '../../../tools/client.ts';
import { filesIn, statusOf, tlsChannel } from '../../support/callers.ts';
import { type Certificate, createAuthority } from '../../support/certificates.ts';
import { errorDetails } from '../../support/error-details.ts';
import { createSystem, type System } from '../../support/system.ts';

const authority = createAuthority();
const server = authority.issue({ ipAddresses: ['127.0.0.1'] });
const PAYMENTS = 'spiffe://bank.example/payments';
const READER = 'reader.bank.example';
const CALLERS = [
  { caller: PAYMENTS, scopes: ['payments.authorize', 'payments.read'] },
  { caller: READER, scopes: ['payments.read'] },
];

let system: System;

beforeAll(async () => {
  system = await createSystem();
});

afterAll(() => system.close());

/** An API that knows its callers by their certificates, and the path of the file that says what they may do. */
async function start(env: Record<string, string> = {}) {
  const path = filesIn({
    'tls.crt': server.cert,
    'tls.key': server.key,
    'ca.crt': authority.cert,
    'callers.json': JSON.stringify(CALLERS),
  });
  const api = await system.startApi({
    TLS_CERT_FILE: path('tls.crt'),
    TLS_KEY_FILE: path('tls.key'),
    TLS_CLIENT_CA_FILE: path('ca.crt'),
    AUTH_CALLERS_FILE: path('callers.json'),
    FILE_RELOAD_MS: '100',
    ...env,
  });
  return { api, callersFile: path('callers.json') };
}

async function withClient<T>(
  address: string,
  certificate: Certificate | undefined,
  use: (client: LedgerClient) => Promise<T>,
): Promise<T> {
  const client = new LedgerClient(address, tlsChannel(authority.cert, certificate));
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

const failure = (call: Promise<unknown>): Promise<ServiceError> =>
  call.then(
    () => expect.fail('it was let in'),
    (error) => error,
  );

test('a caller is known by the URI or the DNS name of its certificate, and may do what the file says', async () => {
  const { api } = await start();
  const byUri = authority.issue({ uris: [PAYMENTS], dnsNames: ['pod-7.bank.example'] });
  await withClient(api.address, byUri, async (client) => {
    expect(await statusOf(client.authorize({}))).toBe('INVALID_ARGUMENT');
    expect(await statusOf(client.balance('nobody'))).toBe('NOT_FOUND');
    expect(await statusOf(client.open(''))).toBe('PERMISSION_DENIED');
  });
  await withClient(api.address, authority.issue({ dnsNames: [READER] }), async (client) => {
    expect(await statusOf(client.balance('nobody'))).toBe('NOT_FOUND');
    const error = await failure(client.authorize({}));
    expect(await statusOf(Promise.reject(error))).toBe('PERMISSION_DENIED');
    expect(errorDetails(error).errorInfo).toMatchObject({
      reason: 'SCOPE_MISSING',
      metadata: { scope: 'payments.authorize' },
    });
  });
  const denials = () => api.log.filter((line) => line.includes('call denied')).map((line) => JSON.parse(line));
  await expect.poll(denials).toMatchObject([
    { caller: PAYMENTS, method: '/payment.v1.AccountService/OpenAccount', scope: 'accounts.admin' },
    { caller: READER, method: '/payment.v1.PaymentService/AuthorizePayment', scope: 'payments.authorize' },
  ]);
});

test('a trusted certificate of another name has no rights; its common name counts for nothing', async () => {
  const { api } = await start();
  const wrong = [
    { dnsNames: ['other.bank.example'] },
    { commonName: READER },
    { dnsNames: [`x.${READER}`] },
    // One name that holds two.
    { uris: [`spiffe://evil.example/, DNS:${READER}`] },
  ];
  for (const names of wrong) {
    await withClient(api.address, authority.issue(names), async (client) => {
      const error = await failure(client.balance('nobody'));
      expect([names, await statusOf(Promise.reject(error))]).toEqual([names, 'PERMISSION_DENIED']);
      expect(errorDetails(error).errorInfo).toMatchObject({ reason: 'CALLER_UNKNOWN' });
    });
  }
});

test('where a certificate is only requested, calls without a trusted one are UNAUTHENTICATED', async () => {
  const { api } = await start({ TLS_CLIENT_CERT: 'request' });
  for (const certificate of [undefined, createAuthority().issue({ dnsNames: [READER] })]) {
    await withClient(api.address, certificate, async (client) => {
      const error = await failure(client.balance('nobody'));
      expect(await statusOf(Promise.reject(error))).toBe('UNAUTHENTICATED');
      expect(errorDetails(error).errorInfo).toMatchObject({ reason: 'CERTIFICATE_MISSING' });
    });
  }
  await withClient(api.address, authority.issue({ dnsNames: [READER] }), async (client) => {
    expect(await statusOf(client.balance('nobody'))).toBe('NOT_FOUND');
  });
});

test('a certificate that expires while its connection stands is not accepted from then on', async () => {
  const { api } = await start();
  const brief = authority.issue({ dnsNames: [READER], notAfter: new Date(Date.now() + 3_000) });
  await withClient(api.address, brief, async (client) => {
    expect(await statusOf(client.balance('nobody'))).toBe('NOT_FOUND');
    await expect.poll(() => statusOf(client.balance('nobody'))).toBe('UNAUTHENTICATED');
  });
});

test('rights that change are in force without a restart, on connections that stand', async () => {
  const { api, callersFile } = await start();
  await withClient(api.address, authority.issue({ dnsNames: [READER] }), async (client) => {
    expect(await statusOf(client.balance('nobody'))).toBe('NOT_FOUND');
    writeFileSync(callersFile, JSON.stringify([{ caller: READER, scopes: [] }]));
    await expect.poll(() => statusOf(client.balance('nobody'))).toBe('PERMISSION_DENIED');
    writeFileSync(callersFile, JSON.stringify([{ caller: READER, scopes: ['everything'] }]));
    await expect.poll(() => api.log.some((line) => line.includes('not usable'))).toBe(true);
    expect(await statusOf(client.balance('nobody'))).toBe('PERMISSION_DENIED');
  });
});
