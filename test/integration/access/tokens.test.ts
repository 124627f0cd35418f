import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ServiceError } from '@grpc/grpc-js';
import { type JSONWebKeySet, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LedgerClient } from '../../../tools/client.ts';
import { filesIn, statusOf } from '../../support/callers.ts';
import { errorDetails } from '../../support/error-details.ts';
import { health } from '../../support/health.ts';
import { type ApiProcess, createSystem, type System } from '../../support/system.ts';
import {
  AUDIENCE,
  type Claims,
  forgedToken,
  goodClaims,
  ISSUER,
  type SigningKey,
  signingKey,
} from '../../support/tokens.ts';

const VARIABLES = { AUTH_ISSUER: ISSUER, AUTH_AUDIENCE: `other,${AUDIENCE}`, FILE_RELOAD_MS: '100' };

/** The client's clock is the server's; what a tolerance of 30 s lets through is not the point here. */
const MINUTE_S = 60;
const nowS = () => Math.floor(Date.now() / 1_000);

let system: System;

beforeAll(async () => {
  system = await createSystem();
});

afterAll(() => system.close());

function jwks(...keys: SigningKey[]): string {
  return JSON.stringify({ keys: keys.map(({ jwk }) => jwk) } satisfies JSONWebKeySet);
}

/** What a call with the token comes to: OK, or the reason of its UNAUTHENTICATED. The account is not there. */
async function outcome(address: string, token: string | undefined): Promise<string> {
  const client = new LedgerClient(address, undefined, token);
  try {
    return await client.balance('nobody').then(
      () => 'OK',
      (error: ServiceError) => {
        const { errorInfo } = errorDetails(error);
        if (errorInfo !== undefined) expect(errorInfo.domain).toBe('payment-ledger');
        return errorInfo === undefined ? String(error.code) : `${error.code} ${errorInfo.reason}`;
      },
    );
  } finally {
    client.close();
  }
}

/** NOT_FOUND: it was let in. */
const LET_IN = '5 NOT_FOUND';

describe('a bearer token', () => {
  let api: ApiProcess;
  let key: SigningKey;
  let rsa: SigningKey;

  beforeAll(async () => {
    key = await signingKey('key-1');
    rsa = await signingKey('rsa-1', 'RS256');
    const path = filesIn({ 'jwks.json': jwks(key, rsa) });
    api = await system.startApi({ ...VARIABLES, AUTH_JWKS_FILE: path('jwks.json') });
  });

  test('of the issuer is let in, seen the first time or the second', async () => {
    const token = await key.token();
    expect(await outcome(api.address, token)).toBe(LET_IN);
    expect(await outcome(api.address, token)).toBe(LET_IN);
    expect(await outcome(api.address, await rsa.token())).toBe(LET_IN);
  });

  const claims: [string, () => Claims, string][] = [
    ['has expired', () => ({ exp: nowS() - MINUTE_S }), 'TOKEN_EXPIRED'],
    ['never expires', () => ({ exp: undefined }), 'TOKEN_MALFORMED'],
    ['is not valid yet', () => ({ nbf: nowS() + MINUTE_S }), 'TOKEN_NOT_YET_VALID'],
    ['is for another audience', () => ({ aud: 'another' }), 'TOKEN_WRONG_AUDIENCE'],
    ['is for no audience', () => ({ aud: undefined }), 'TOKEN_WRONG_AUDIENCE'],
    ['is from another issuer', () => ({ iss: 'https://other.example' }), 'TOKEN_WRONG_ISSUER'],
    ['names nobody', () => ({ sub: undefined }), 'TOKEN_MALFORMED'],
    ['names nobody that could be stored', () => ({ sub: 'a\0b' }), 'TOKEN_MALFORMED'],
    ['has a name without end', () => ({ sub: 'a'.repeat(256) }), 'TOKEN_MALFORMED'],
  ];
  test.each(claims)('that %s is UNAUTHENTICATED', async (_, changed, reason) => {
    expect(await outcome(api.address, await key.token(changed()))).toBe(`16 ${reason}`);
  });

  const forged: [string, () => Promise<string | undefined> | string | undefined, string][] = [
    ['none at all', () => undefined, 'TOKEN_MISSING'],
    ['no token', () => 'nonsense', 'TOKEN_MALFORMED'],
    ['one of another form', () => 'two words', 'TOKEN_MALFORMED'],
    ['one without an end', () => 'a'.repeat(8_193), 'TOKEN_MALFORMED'],
    ['alg none', () => forgedToken({ alg: 'none' }, goodClaims()), 'TOKEN_ALGORITHM_NOT_ALLOWED'],
    ['no signature', async () => `${(await key.token()).split('.').slice(0, 2).join('.')}.`, 'TOKEN_SIGNATURE_INVALID'],
    [
      'another signature',
      () => forgedToken({ alg: 'ES256', kid: 'key-1' }, goodClaims(), randomBytes(64)),
      'TOKEN_SIGNATURE_INVALID',
    ],
    [
      'HS256 with the public key as its secret',
      () => hs256(Buffer.from(rsa.pem), { kid: 'rsa-1' }),
      'TOKEN_ALGORITHM_NOT_ALLOWED',
    ],
    ['the key of somebody else', async () => (await signingKey('key-1')).token(), 'TOKEN_SIGNATURE_INVALID'],
    ['a key nobody knows', async () => (await signingKey('key-9')).token(), 'TOKEN_KEY_UNKNOWN'],
    [
      'an algorithm that is not allowed',
      async () => (await signingKey('key-9', 'ES384')).token(),
      'TOKEN_ALGORITHM_NOT_ALLOWED',
    ],
    ['a changed claim', async () => tampered(await key.token({ sub: 'caller-2' })), 'TOKEN_SIGNATURE_INVALID'],
  ];
  test.each(forged)('%s is UNAUTHENTICATED', async (_, make, reason) => {
    expect(await outcome(api.address, await make())).toBe(`16 ${reason}`);
  });

  test('is not believed any longer than it says, though it was verified before', async () => {
    const brief = await system.startApi({
      ...VARIABLES,
      AUTH_CLOCK_TOLERANCE_SECONDS: '0',
      AUTH_JWKS_FILE: filesIn({ 'jwks.json': jwks(key) })('jwks.json'),
    });
    const token = await key.token({ exp: nowS() + 3 });
    expect(await outcome(brief.address, token)).toBe(LET_IN);
    await expect.poll(() => outcome(brief.address, token), { timeout: 10_000, interval: 200 }).toBe('16 TOKEN_EXPIRED');
  });

  test('is what denials are logged and counted by, and is in no log line itself', async () => {
    const token = await key.token({ exp: nowS() - MINUTE_S });
    await outcome(api.address, token);
    await expect
      .poll(() => api.log.filter((line) => line.includes('call denied')).map((line) => JSON.parse(line)))
      .toContainEqual(
        expect.objectContaining({
          level: 'info',
          method: '/payment.v1.PaymentService/GetAccountBalance',
          reason: 'TOKEN_EXPIRED',
        }),
      );
    const all = api.log.join('\n');
    for (const part of token.split('.')) expect(all).not.toContain(part);
    const metrics = await (await fetch(`http://${api.ready['metricsAddress']}/metrics`)).text();
    expect(metrics).toMatch(/payment_ledger_authentication_failures_total\{reason="TOKEN_EXPIRED"\} [1-9]/);
  });

  test('is not needed for health', async () => {
    expect(await health(api.address)).toBe('SERVING');
  });
});

describe('scopes', () => {
  const methods: [string, string, (client: LedgerClient) => Promise<unknown>, string][] = [
    ['AuthorizePayment', 'payments.authorize', (client) => client.authorize({}), 'INVALID_ARGUMENT'],
    ['GetPayment', 'payments.read', (client) => client.payment('01ARZ3NDEKTSV4RRFFQ69G5FAV'), 'NOT_FOUND'],
    ['GetAccountBalance', 'payments.read', (client) => client.balance('nobody'), 'NOT_FOUND'],
    ['OpenAccount', 'accounts.admin', (client) => client.open(''), 'INVALID_ARGUMENT'],
    ['UpdateAccount', 'accounts.admin', (client) => client.updateAccount('a', {}), 'INVALID_ARGUMENT'],
    ['FreezeAccount', 'accounts.admin', (client) => client.freeze('nobody'), 'NOT_FOUND'],
    ['UnfreezeAccount', 'accounts.admin', (client) => client.unfreeze('nobody'), 'NOT_FOUND'],
    ['CloseAccount', 'accounts.admin', (client) => client.closeAccount('nobody'), 'NOT_FOUND'],
  ];
  const all = ['payments.authorize', 'payments.read', 'accounts.admin'];
  let api: ApiProcess;
  let key: SigningKey;

  beforeAll(async () => {
    key = await signingKey('key-1');
    const path = filesIn({ 'jwks.json': jwks(key) });
    api = await system.startApi({ ...VARIABLES, AUTH_JWKS_FILE: path('jwks.json') });
  });

  test.each(methods)('%s needs %s, and no other', async (method, scope, call, arrived) => {
    const others = all.filter((each) => each !== scope);
    const without = new LedgerClient(api.address, undefined, await key.token({ scope: others.join(' ') }));
    const error: ServiceError = await call(without).then(
      () => expect.fail('it was let in'),
      (failure) => failure,
    );
    expect(await statusOf(Promise.reject(error))).toBe('PERMISSION_DENIED');
    expect(errorDetails(error).errorInfo).toMatchObject({ reason: 'SCOPE_MISSING', metadata: { scope } });
    const logged = (line: string) =>
      ['SCOPE_MISSING', '"caller":"caller-1"', method].every((part) => line.includes(part));
    await expect.poll(() => api.log.some(logged)).toBe(true);

    // As a list too, in the claim that some issuers use.
    for (const claims of [{ scope }, { scope: undefined, scp: ['other', scope] }, { scope: `other ${scope}` }]) {
      const client = new LedgerClient(api.address, undefined, await key.token(claims));
      expect(await statusOf(call(client))).toBe(arrived);
      client.close();
    }
    without.close();
  });

  test('a token without scopes may do nothing', async () => {
    for (const scope of [undefined, '', 'payments', { toString: 'payments.read' }]) {
      const client = new LedgerClient(api.address, undefined, await key.token({ scope }));
      for (const [, , call] of methods) expect(await statusOf(call(client))).toBe('PERMISSION_DENIED');
      client.close();
    }
  });
});

describe('keys that change', () => {
  test('in a file, in either form: the new one is believed and the withdrawn one is not, without a restart', async () => {
    const [first, second, third] = await Promise.all(['key-1', 'key-2', 'key-3'].map((kid) => signingKey(kid)));
    const path = filesIn({ keys: jwks(first!) });
    const api = await system.startApi({ ...VARIABLES, AUTH_JWKS_FILE: path('keys') });
    const token = await first!.token();
    expect(await outcome(api.address, token)).toBe(LET_IN);

    writeFileSync(path('keys'), jwks(second!));
    await expect
      .poll(async () => outcome(api.address, await second!.token()), { timeout: 20_000, interval: 100 })
      .toBe(LET_IN);
    // Though it was verified, and remembered, before.
    expect(await outcome(api.address, token)).toBe('16 TOKEN_KEY_UNKNOWN');

    // PEM names no keys: each is tried.
    writeFileSync(path('keys'), second!.pem + third!.pem);
    await expect
      .poll(async () => outcome(api.address, await third!.token()), { timeout: 20_000, interval: 100 })
      .toBe(LET_IN);
    expect(await outcome(api.address, await second!.token())).toBe(LET_IN);
    expect(await outcome(api.address, token)).toBe('16 TOKEN_SIGNATURE_INVALID');

    writeFileSync(path('keys'), '{"keys":[]}');
    await expect.poll(() => api.log.some((line) => line.includes('no public key'))).toBe(true);
    expect(await outcome(api.address, await second!.token())).toBe(LET_IN);
  });

  describe('at an endpoint', () => {
    let issuer: Server;
    let answer: string | undefined;
    let requests = 0;
    let url: string;

    beforeAll(async () => {
      issuer = createServer((_, response) => {
        requests += 1;
        response.writeHead(answer === undefined ? 503 : 200, { 'content-type': 'application/json' }).end(answer);
      });
      await new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve));
      url = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/jwks`;
    });

    afterAll(() => {
      issuer.close();
    });

    test('a new key is fetched when a token names it, and unknown callers cannot have it fetched at will', async () => {
      const [first, second, third] = await Promise.all(['key-1', 'key-2', 'key-3'].map((kid) => signingKey(kid)));
      answer = jwks(first!);
      const api = await system.startApi({ ...VARIABLES, AUTH_JWKS_URL: url });
      const old = await first!.token();
      expect(await outcome(api.address, old)).toBe(LET_IN);

      answer = jwks(second!);
      expect(await outcome(api.address, await second!.token())).toBe(LET_IN);
      expect(await outcome(api.address, old)).toBe('16 TOKEN_KEY_UNKNOWN');

      const before = requests;
      for (let turn = 0; turn < 5; turn += 1) {
        expect(await outcome(api.address, await third!.token())).toBe('16 TOKEN_KEY_UNKNOWN');
      }
      expect(requests).toBe(before);
    });

    test('an issuer that is down at the start makes calls UNAVAILABLE until it is up; later it is not missed', async () => {
      const [first] = await Promise.all(['key-1'].map((kid) => signingKey(kid)));
      answer = undefined;
      const api = await system.startApi({ ...VARIABLES, AUTH_JWKS_URL: url });
      expect(await outcome(api.address, await first!.token())).toBe('14 UNAVAILABLE');

      answer = jwks(first!);
      await expect
        .poll(async () => outcome(api.address, await first!.token()), { timeout: 20_000, interval: 300 })
        .toBe(LET_IN);

      answer = undefined;
      expect(await outcome(api.address, await first!.token())).toBe(LET_IN);
    });
  });
});

describe('at the start', () => {
  test('a file with a private key is rejected', async () => {
    const key = await signingKey('key-1');
    const path = filesIn({ jwks: JSON.stringify({ keys: [{ ...key.jwk, d: 'AAAA' }] }) });
    await expect(system.startApi({ ...VARIABLES, AUTH_JWKS_FILE: path('jwks') })).rejects.toThrow(
      /holds a private key/,
    );
  });
});

function hs256(secret: Uint8Array, header: { kid: string }): Promise<string> {
  return new SignJWT(goodClaims()).setProtectedHeader({ alg: 'HS256', ...header }).sign(secret);
}

/** The same signature under claims of another caller. */
function tampered(token: string): string {
  const [header, payload, signature] = token.split('.') as [string, string, string];
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
  return `${header}.${Buffer.from(JSON.stringify({ ...claims, sub: 'caller-1' })).toString('base64url')}.${signature}`;
}
