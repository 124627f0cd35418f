import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface Verified {
  /** 0 if the books balance and agree with the topic. */
  readonly code: number;
  readonly output: string;
  /** Ids of records on the topic that belong to no payment. */
  readonly orphaned: readonly string[];
  /** Ids of payments whose events are neither on the topic nor pending. */
  readonly missing: readonly string[];
}

/** What an operator sees who compares books and topic. */
export async function verifyEvents(env: {
  readonly DATABASE_URL: string;
  readonly KAFKA_BROKERS: string;
  readonly KAFKA_TOPIC: string;
}): Promise<Verified> {
  const child = spawn(process.execPath, ['src/cli/reconcile.ts', '--events'], {
    env: { PATH: process.env['PATH'], NODE_NO_WARNINGS: '1', ...env },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const [code] = (await once(child, 'close')) as [number];
  const ids = (pattern: RegExp) => [...output.matchAll(pattern)].map((match) => match[1]!).sort();
  return {
    code,
    output,
    orphaned: ids(/ce_id "(\w+)" .*belongs to no payment/g),
    missing: ids(/payment (\w+) has no event/g),
  };
}
