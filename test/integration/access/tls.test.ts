import { renameSync, writeFileSync } from 'node:fs';
import { credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { balanceStatus, filesIn, tlsChannel } from '../../support/callers.ts';
import { createAuthority } from '../../support/certificates.ts';
import { type ApiProcess, createSystem, type System } from '../../support/system.ts';

const HERE = { dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] };
const DAY_MS = 86_400_000;

/** No such account: the call arrived, and nothing more is to be shown here. */
const ARRIVED = 'NOT_FOUND';

const authority = createAuthority();
const otherAuthority = createAuthority();

let system: System;

beforeAll(async () => {
  system = await createSystem();
});

afterAll(() => system.close());

function filesOf(certificate = authority.issue(HERE)) {
  return filesIn({ 'tls.crt': certificate.cert, 'tls.key': certificate.key, 'ca.crt': authority.cert });
}

function serverEnv(path: (name: string) => string) {
  return { TLS_CERT_FILE: path('tls.crt'), TLS_KEY_FILE: path('tls.key'), FILE_RELOAD_MS: '100' };
}

describe('TLS', () => {
  let api: ApiProcess;

  beforeAll(async () => {
    api = await system.startApi(serverEnv(filesOf()));
  });

  test('callers who trust the authority are answered; the others reject the server', async () => {
    expect(await balanceStatus(api.address, tlsChannel(authority.cert))).toBe(ARRIVED);
    expect(await balanceStatus(api.address, tlsChannel(otherAuthority.cert))).toBe('UNAVAILABLE');
  });

  test('a call in clear to the encrypted port fails, and the port goes on', async () => {
    expect(await balanceStatus(api.address, credentials.createInsecure())).toBe('UNAVAILABLE');
    expect(await balanceStatus(api.address, tlsChannel(authority.cert))).toBe(ARRIVED);
  });

  test('an encrypted call to a port in clear fails, and the port goes on', async () => {
    const plain = await system.startApi();
    expect(await balanceStatus(plain.address, tlsChannel(authority.cert))).toBe('UNAVAILABLE');
    expect(await balanceStatus(plain.address)).toBe(ARRIVED);
  });

  test('a server certificate of another name is rejected by callers', async () => {
    const elsewhere = filesOf(authority.issue({ dnsNames: ['ledger.example'] }));
    const other = await system.startApi(serverEnv(elsewhere));
    expect(await balanceStatus(other.address, tlsChannel(authority.cert))).toBe('UNAVAILABLE');
  });
});

describe('mutual TLS', () => {
  const callers = JSON.stringify([{ caller: 'caller.example', scopes: ['payments.read'] }]);
  const client = () => authority.issue({ dnsNames: ['caller.example'] });

  test('a trusted certificate is let in; none, a foreign and an expired one are not', async () => {
    const path = filesOf();
    writeFileSync(path('callers.json'), callers);
    const api = await system.startApi({
      ...serverEnv(path),
      TLS_CLIENT_CA_FILE: path('ca.crt'),
      AUTH_CALLERS_FILE: path('callers.json'),
    });
    const expired = authority.issue({
      dnsNames: ['caller.example'],
      notBefore: new Date(Date.now() - 2 * DAY_MS),
      notAfter: new Date(Date.now() - 1_000),
    });
    const notYet = authority.issue({ dnsNames: ['caller.example'], notBefore: new Date(Date.now() + DAY_MS / 2) });
    const foreign = otherAuthority.issue({ dnsNames: ['caller.example'] });
    const untrusted = { none: undefined, foreign, expired, notYet };
    for (const [name, certificate] of Object.entries(untrusted)) {
      expect([name, await balanceStatus(api.address, tlsChannel(authority.cert, certificate))]).toEqual([
        name,
        'UNAVAILABLE',
      ]);
    }
    expect(await balanceStatus(api.address, tlsChannel(authority.cert, client()))).toBe(ARRIVED);
  });
});

describe('reload', () => {
  test('new files are in force without a restart, for connections made afterwards', async () => {
    const path = filesOf();
    const api = await system.startApi(serverEnv(path));
    expect(await balanceStatus(api.address, tlsChannel(authority.cert))).toBe(ARRIVED);

    const renewed = otherAuthority.issue(HERE);
    writeFileSync(path('tls.crt'), renewed.cert);
    writeFileSync(path('tls.key'), renewed.key);

    await expect
      .poll(() => balanceStatus(api.address, tlsChannel(otherAuthority.cert)), { timeout: 20_000, interval: 200 })
      .toBe(ARRIVED);
    expect(await balanceStatus(api.address, tlsChannel(authority.cert))).toBe('UNAVAILABLE');
  });

  test('new authorities of clients are in force too', async () => {
    const path = filesOf();
    const callers = JSON.stringify([{ caller: 'caller.example', scopes: ['payments.read'] }]);
    writeFileSync(path('callers.json'), callers);
    const api = await system.startApi({
      ...serverEnv(path),
      TLS_CLIENT_CA_FILE: path('ca.crt'),
      AUTH_CALLERS_FILE: path('callers.json'),
    });
    const [before, after] = [authority, otherAuthority].map((issuer) =>
      tlsChannel(authority.cert, issuer.issue({ dnsNames: ['caller.example'] })),
    );
    expect(await balanceStatus(api.address, before)).toBe(ARRIVED);
    expect(await balanceStatus(api.address, after)).toBe('UNAVAILABLE');

    writeFileSync(path('ca.crt'), otherAuthority.cert);
    await expect.poll(() => balanceStatus(api.address, after), { timeout: 20_000, interval: 200 }).toBe(ARRIVED);
    expect(await balanceStatus(api.address, before)).toBe('UNAVAILABLE');
  });

  test('files that are no good leave the last good ones in force, with one warning', async () => {
    const path = filesOf();
    const api = await system.startApi(serverEnv(path));
    const warnings = () => api.log.filter((line) => line.includes('changed files are not usable'));

    const expired = authority.issue({ ...HERE, notAfter: new Date(Date.now() - 1_000) });
    const broken: [string, string][] = [
      ['tls.crt', 'no certificate'],
      ['tls.crt', expired.cert],
      ['tls.crt', authority.issue(HERE).cert],
    ];
    for (const [index, [name, text]] of broken.entries()) {
      writeFileSync(path(name), text);
      await expect.poll(() => warnings().length).toBe(index + 1);
      expect(await balanceStatus(api.address, tlsChannel(authority.cert))).toBe(ARRIVED);
    }

    renameSync(path('tls.key'), path('elsewhere'));
    await expect.poll(() => warnings().length).toBe(broken.length + 1);
    await new Promise((resume) => setTimeout(resume, 500));
    expect(warnings()).toHaveLength(broken.length + 1);
    expect(await balanceStatus(api.address, tlsChannel(authority.cert))).toBe(ARRIVED);
  });
});

describe('at the start', () => {
  test('a file that is missing, or is not what it should be, is named', async () => {
    const path = filesOf();
    await expect(system.startApi({ ...serverEnv(path), TLS_KEY_FILE: path('nothing') })).rejects.toThrow(
      /TLS_KEY_FILE \(.*ENOENT/,
    );
    writeFileSync(path('ca.crt'), '');
    const callers = { TLS_CLIENT_CA_FILE: path('ca.crt'), AUTH_CALLERS_FILE: path('nothing') };
    await expect(system.startApi({ ...serverEnv(path), ...callers })).rejects.toThrow(
      /TLS_CLIENT_CA_FILE \(.*no certificate/,
    );
  });
});
