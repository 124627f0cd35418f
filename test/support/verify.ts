import { runLedger } from './command-line.ts';

export interface Verified {
  /** 0 if the books balance and agree with the topic. */
  readonly code: number;
  readonly output: string;
  readonly booksBalance: boolean;
  /** Ids of records on the topic that belong to no payment. */
  readonly orphaned: readonly string[];
  /** Ids of payments whose events are neither on the topic nor pending. */
  readonly missing: readonly string[];
}

/** What an operator sees who compares books and topic by `ledger verify --events --json`, events from a time on if given. */
export async function verifyEvents(
  env: { readonly DATABASE_URL: string; readonly KAFKA_BROKERS: string; readonly KAFKA_TOPIC: string },
  since?: Date,
): Promise<Verified> {
  const from = since === undefined ? [] : ['--since', since.toISOString()];
  const { code, stdout, stderr } = await runLedger(['verify', '--events', '--json', ...from], env);
  if (stdout === '') throw new Error(`ledger verify ended with ${code}: ${stderr}`);
  const { books, events } = JSON.parse(stdout) as {
    books: { balance: boolean };
    events: { missing: string[]; orphaned: string[] };
  };
  return {
    code,
    output: stdout,
    booksBalance: books.balance,
    orphaned: events.orphaned.map((sentence) => /^ce_id "(\w+)"/.exec(sentence)?.[1] ?? sentence).sort(),
    missing: [...events.missing].sort(),
  };
}
