import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ChannelCredentials, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { LedgerClient } from '../../tools/client.ts';
import type { Certificate } from './certificates.ts';

/** Writes files into a folder of the test's own; returns a function that gives their paths. */
export function filesIn(contents: Record<string, string>): (name: string) => string {
  const folder = mkdtempSync(join(tmpdir(), 'payment-ledger-access-'));
  for (const [name, text] of Object.entries(contents)) writeFileSync(join(folder, name), text);
  return (name) => join(folder, name);
}

/** What a client trusts, and the certificate it shows, if any. */
export function tlsChannel(caCertificate: string, own?: Certificate): ChannelCredentials {
  return credentials.createSsl(
    Buffer.from(caCertificate),
    own === undefined ? null : Buffer.from(own.key),
    own === undefined ? null : Buffer.from(own.cert),
  );
}

/** The name of the status with which a balance is answered over a connection of its own. */
export async function balanceStatus(address: string, channel?: ChannelCredentials): Promise<string> {
  const client = new LedgerClient(address, channel);
  try {
    return await statusOf(client.balance('nobody'));
  } finally {
    client.close();
  }
}

/** The name of the status with which the call ends. */
export async function statusOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'OK',
    (error: ServiceError) => status[error.code] ?? String(error),
  );
}
