import { beforeEach, describe, expect, test } from 'vitest';
import { AccountTypes } from '../../../src/app/account-types.ts';
import type { AccountType } from '../../../src/app/domain/account.ts';
import { unavailable } from '../../../src/app/errors.ts';
import { LimitByAccountType } from '../../../src/app/limit-by-account-type.ts';

const ACCOUNTS: Record<string, AccountType> = { customer: 'CUSTOMER', world: 'EXTERNAL' };

let lookedUp: string[];
let reachable: boolean;

const ledger = {
  async findAccountType(accountId: string) {
    lookedUp.push(accountId);
    if (!reachable) throw unavailable('The database cannot be reached.');
    return ACCOUNTS[accountId];
  },
};

/** Says that a token comes in retryAfterMs, and counts how often it was asked. */
function limiter(retryAfterMs: number) {
  const asked: string[] = [];
  const givenBack: string[] = [];
  return {
    asked,
    async take(payer: string) {
      asked.push(payer);
      return retryAfterMs;
    },
    async takeAll(tokens: ReadonlyMap<string, number>) {
      const [accountId] = [...tokens.keys()];
      asked.push(...tokens.keys());
      return accountId === undefined || retryAfterMs === 0 ? undefined : { accountId, retryAfterMs };
    },
    givenBack,
    async giveBack(tokens: ReadonlyMap<string, number>) {
      givenBack.push(...tokens.keys());
    },
  };
}

beforeEach(() => {
  lookedUp = [];
  reachable = true;
});

describe('without a limit for EXTERNAL payers', () => {
  test('nothing is looked up while the bucket has tokens', async () => {
    const limit = new LimitByAccountType(limiter(0), undefined, new AccountTypes(ledger));
    for (const payer of ['customer', 'world', 'nobody']) expect(await limit.take(payer)).toBe(0);
    expect(lookedUp).toEqual([]);
  });

  test('an empty bucket stops a customer and nobody else, each of whom is looked up once', async () => {
    const customers = limiter(40);
    const limit = new LimitByAccountType(customers, undefined, new AccountTypes(ledger));
    for (let i = 0; i < 3; i += 1) {
      expect(await limit.take('customer')).toBe(40);
      expect(await limit.take('world')).toBe(0);
      expect(await limit.take('nobody')).toBe(40);
    }
    expect(lookedUp).toEqual(['customer', 'world', 'nobody']);
    // Once known to be EXTERNAL, it takes from no bucket.
    expect(customers.asked.filter((payer) => payer === 'world')).toHaveLength(1);
  });

  test('while accounts cannot be looked up the limit holds for all, and nothing is remembered', async () => {
    const limit = new LimitByAccountType(limiter(40), undefined, new AccountTypes(ledger));
    reachable = false;
    expect(await limit.take('world')).toBe(40);
    reachable = true;
    expect(await limit.take('world')).toBe(0);
  });
});

describe('with a limit for EXTERNAL payers', () => {
  test('each takes from the bucket of its type, and is looked up once', async () => {
    const [customers, external] = [limiter(0), limiter(70)];
    const limit = new LimitByAccountType(customers, external, new AccountTypes(ledger));
    for (let i = 0; i < 3; i += 1) {
      expect(await limit.take('customer')).toBe(0);
      expect(await limit.take('world')).toBe(70);
    }
    expect(lookedUp).toEqual(['customer', 'world']);
    expect([customers.asked.length, external.asked.length]).toEqual([3, 3]);
  });
});

describe('several tokens at once', () => {
  test('are taken of the buckets of each type, and of none for EXTERNAL payers without a limit', async () => {
    const [customers, external] = [limiter(0), limiter(0)];
    const tokens = new Map([
      ['customer', 2],
      ['world', 3],
    ]);
    const without = new LimitByAccountType(customers, undefined, new AccountTypes(ledger));
    expect(await without.takeAll(tokens)).toBeUndefined();
    expect(customers.asked).toEqual(['customer']);
    const limit = new LimitByAccountType(customers, external, new AccountTypes(ledger));
    expect(await limit.takeAll(tokens)).toBeUndefined();
    expect(external.asked).toEqual(['world']);
  });

  test('that no customer ever gets are refused for good to customers alone, not to whoever cannot be looked up', async () => {
    const limit = new LimitByAccountType(limiter(Number.POSITIVE_INFINITY), undefined, new AccountTypes(ledger));
    reachable = false;
    for (const payer of ['customer', 'world']) {
      await expect(limit.takeAll(new Map([[payer, 9]]))).rejects.toMatchObject({ problem: { kind: 'UNAVAILABLE' } });
    }
    reachable = true;
    expect(await limit.takeAll(new Map([['world', 9]]))).toBeUndefined();
    const never = { accountId: 'customer', retryAfterMs: Number.POSITIVE_INFINITY };
    expect(await limit.takeAll(new Map([['customer', 9]]))).toEqual(never);
  });

  test('are taken of an EXTERNAL payer that is found out only then', async () => {
    const customers = limiter(Number.POSITIVE_INFINITY);
    let failures = 1;
    const flaky = {
      async findAccountType(accountId: string) {
        if (failures-- > 0) throw unavailable('The database cannot be reached.');
        return ACCOUNTS[accountId];
      },
    };
    const external = limiter(0);
    const limit = new LimitByAccountType(customers, external, new AccountTypes(flaky));
    expect(await limit.takeAll(new Map([['world', 9]]))).toBeUndefined();
    expect([customers.asked, external.asked]).toEqual([['world'], ['world']]);
  });

  test('that one type lacks are given back to the other', async () => {
    const tokens = new Map([
      ['customer', 2],
      ['world', 3],
    ]);
    const [customers, external] = [limiter(0), limiter(70)];
    const limit = new LimitByAccountType(customers, external, new AccountTypes(ledger));
    expect(await limit.takeAll(tokens)).toEqual({ accountId: 'world', retryAfterMs: 70 });
    expect(customers.givenBack).toEqual(['customer']);
    expect(external.givenBack).toEqual([]);

    const lacking = new LimitByAccountType(limiter(40), external, new AccountTypes(ledger));
    external.asked.length = 0;
    expect(await lacking.takeAll(tokens)).toEqual({ accountId: 'customer', retryAfterMs: 40 });
    expect(external.asked).toEqual([]);
  });
});

describe('account types', () => {
  test('of accounts that do not exist are looked up again after ten seconds', async () => {
    const types = new AccountTypes(ledger);
    for (const nowMs of [0, 9_999, 10_000]) expect(await types.find('nobody', nowMs)).toBeUndefined();
    expect(lookedUp).toHaveLength(2);
  });

  test('are remembered for a bounded number of accounts, the longest unused forgotten first', async () => {
    const types = new AccountTypes(ledger, 2);
    await types.find('world', 0);
    await types.find('customer', 0);
    await types.find('world', 0);
    await types.find('nobody', 0);
    expect(types.known('world', 0)).toMatchObject({ type: 'EXTERNAL' });
    expect(types.known('customer', 0)).toBeUndefined();
  });
});
