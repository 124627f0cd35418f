import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { AccountType } from '../../src/gen/payment/v1/account.ts';

/** An account that a test finds open, with what it holds. */
export interface SeedAccount {
  readonly accountId: string;
  readonly currency: string;
  readonly type: AccountType;
  readonly overdraftLimitCents: bigint;
  readonly balanceCents: bigint;
}

const cents = z
  .union([z.int().nonnegative(), z.string().regex(/^\d+$/, 'digits only')], {
    error: 'not a whole number of zero or more',
  })
  .transform((value) => BigInt(value));

// The fields have the names that they have in the protos.
const seedFile = z.strictObject({
  accounts: z.array(
    z
      .strictObject({
        account_id: z.string(),
        currency: z.string(),
        type: z.enum(['CUSTOMER', 'EXTERNAL']).default('CUSTOMER'),
        overdraft_limit_cents: cents.default(0n),
        balance_cents: cents.default(0n),
      })
      .refine(({ type, balance_cents }) => type === 'CUSTOMER' || balance_cents === 0n, {
        path: ['balance_cents'],
        message: 'an EXTERNAL account begins with nothing',
      }),
  ),
});

/** Throws one error that names the file and every field that is wrong. */
export async function readSeedFile(path: string): Promise<readonly SeedAccount[]> {
  const text = await readFile(path, 'utf8').catch((error: Error) => {
    throw new Error(`--seed ${path} cannot be read: ${error.message}`);
  });
  const parsed = seedFile.safeParse(parseJson(path, text));
  if (!parsed.success) {
    const issues = parsed.error.issues.map((issue) => `  ${issue.path.join('.') || 'the file'}: ${issue.message}`);
    throw new Error(`--seed ${path} is not a seed file:\n${issues.join('\n')}`);
  }
  return parsed.data.accounts.map((account) => ({
    accountId: account.account_id,
    currency: account.currency,
    type: AccountType[`ACCOUNT_TYPE_${account.type}`],
    overdraftLimitCents: account.overdraft_limit_cents,
    balanceCents: account.balance_cents,
  }));
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`--seed ${path} is not JSON: ${(error as Error).message}`);
  }
}
