import fc from 'fast-check';

// What a sequence is made of: plain data, so that it shrinks and prints. A command names
// payments, keys and times by how long ago they came up, 0 being the last, so that it
// still means something after others are taken out.

/** world is EXTERNAL and has paid alice, bob has an overdraft, euro is in EUR, late is not open yet, nobody never will be. */
export const NAMES = ['alice', 'bob', 'world', 'euro', 'late', 'nobody'] as const;
export type Name = (typeof NAMES)[number];
export type Pair = readonly [Name, Name];

/** ALL is what there is to pay, capture or refund, ONE_MORE a cent above, MAX the largest int64, ABSENT no amount. */
type Amount = number | 'ALL' | 'ONE_MORE' | 'MAX' | 'ABSENT';

/** ROOMIEST is the payment of which most can be captured or refunded; an action's id is no payment's. */
type PaymentRef = number | 'ROOMIEST' | { readonly lastActionOf: number } | 'NOT_AN_ID' | 'UNKNOWN';

type TimeRef = number | 'NONE' | 'LONG_AGO' | 'FAR_AHEAD';

interface Keyed {
  /** Of the last keys: the one to use again; none is a new one. */
  readonly key?: number | undefined;
  readonly notes: number;
}

interface Paying extends Keyed {
  /** Payer and payee. */
  readonly between: Pair;
  readonly amount: Amount;
  readonly currency: 'RUB' | 'EUR';
}

type Etag = 'NONE' | 'CURRENT' | 'BEFORE' | 'WRONG';

export type PaymentCommand =
  | ({ readonly do: 'PAY' } & Paying)
  | ({ readonly do: 'HOLD'; readonly days: 0 | 1 | 31 } & Paying)
  | ({ readonly do: 'CAPTURE'; readonly of: PaymentRef; readonly amount: Amount; readonly keep: boolean } & Keyed)
  | ({ readonly do: 'VOID'; readonly of: PaymentRef } & Keyed)
  | ({ readonly do: 'REFUND'; readonly of: PaymentRef; readonly amount: Amount } & Keyed);

export type AccountCommand =
  | {
      readonly do: 'OPEN';
      readonly account: Exclude<Name, 'nobody'>;
      readonly currency: 'RUB' | 'EUR';
      readonly external: boolean;
      readonly limit: number;
    }
  | {
      readonly do: 'UPDATE';
      readonly account: Name;
      readonly limit?: number | undefined;
      readonly notes?: number | undefined;
      readonly etag: Etag;
    }
  | {
      readonly do: 'FREEZE' | 'UNFREEZE';
      readonly account: Name;
      readonly debits: boolean;
      readonly credits: boolean;
      readonly etag: Etag;
    }
  | { readonly do: 'CLOSE'; readonly account: Name; readonly etag: Etag };

export type ReadCommand =
  | { readonly do: 'GET_PAYMENT'; readonly of: PaymentRef | { readonly key: number } }
  | { readonly do: 'GET_BALANCE' | 'GET_ACCOUNT'; readonly account: Name }
  | { readonly do: 'SNAPSHOT'; readonly account: Name; readonly at: TimeRef | { readonly version: number } }
  | { readonly do: 'LIST_ACTIONS'; readonly of: PaymentRef; readonly pageSize: number }
  | {
      readonly do: 'LIST_ENTRIES';
      readonly account: Name;
      readonly oldestFirst: boolean;
      readonly from: TimeRef;
      readonly before: TimeRef;
      readonly versions: readonly [number, number];
      readonly pageSize: number;
    }
  | {
      readonly do: 'LIST_PAYMENTS';
      readonly account: Name;
      readonly role: number;
      readonly statuses: readonly number[];
      readonly reference: boolean;
      readonly from: TimeRef;
      readonly before: TimeRef;
      readonly pageSize: number;
    };

export type Command =
  | PaymentCommand
  | AccountCommand
  | ReadCommand
  | { readonly do: 'BATCH'; readonly items: readonly PaymentCommand[]; readonly key?: number | undefined }
  /** Sends an earlier request to move money again, as it was or but for one field. */
  | { readonly do: 'AGAIN'; readonly request: number; readonly but: (typeof CHANGED)[number] }
  | {
      readonly do: 'REPEAT';
      readonly times: number;
      readonly after?: PaymentCommand;
      readonly command: PaymentCommand;
    }
  /** A hold whose time is soon over, of which a part may be captured before, and what finds that it is over. */
  | {
      readonly do: 'HOLD_BRIEFLY';
      readonly between: Pair;
      readonly amount: number;
      readonly capture: number;
      readonly foundBy: 'SWEEPER' | 'CAPTURE' | 'VOID' | 'REFUND';
    }
  | { readonly do: 'INVALID'; readonly request: number };

const CHANGED = ['NOTHING', 'AMOUNT', 'KEEP_REMAINDER', 'TTL', 'REFERENCE', 'METADATA', 'DESCRIPTION'] as const;
const again = fc.record({
  do: fc.constant('AGAIN' as const),
  request: fc.nat(9),
  but: fc.oneof(
    { weight: 3, arbitrary: fc.constant('NOTHING' as const) },
    { weight: 2, arbitrary: fc.constantFrom(...CHANGED) },
  ),
});
const pair = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.constantFrom<Pair>(
      ['alice', 'bob'],
      ['bob', 'alice'],
      ['world', 'alice'],
      ['alice', 'world'],
      ['world', 'bob'],
    ),
  },
  { weight: 2, arbitrary: fc.constantFrom<Pair>(['late', 'alice'], ['bob', 'late']) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Pair>(['euro', 'alice'], ['nobody', 'bob'], ['alice', 'nobody'], ['bob', 'bob']),
  },
);
const anyAccount = fc.constantFrom<Name>(
  ...(['bob', 'alice', 'bob', 'alice', 'late', 'world', 'euro', 'euro', 'nobody'] as const),
);
const key = fc.oneof({ weight: 12, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.nat(9) });
const notes = fc.constantFrom(0, 0, 0, 0, 1, 2, 3);
const currency = fc.constantFrom<'RUB' | 'EUR'>(...Array.from({ length: 11 }, () => 'RUB' as const), 'EUR');
const etag = fc.constantFrom<Etag>('NONE', 'NONE', 'CURRENT', 'CURRENT', 'BEFORE', 'WRONG');
const pageSize = fc.constantFrom(0, 1, 2, 5);
const time = fc.oneof(
  { weight: 3, arbitrary: fc.constant<TimeRef>('NONE') },
  { weight: 6, arbitrary: fc.nat(12) },
  { weight: 1, arbitrary: fc.constantFrom<TimeRef>('LONG_AGO', 'FAR_AHEAD') },
);
const amount = fc.oneof(
  { weight: 20, arbitrary: fc.integer({ min: 1, max: 300 }) },
  { weight: 4, arbitrary: fc.constantFrom<Amount>('ALL', 'ONE_MORE') },
  { weight: 1, arbitrary: fc.constantFrom<Amount>(0, -5, 'MAX') },
);
/** Of a capture or a refund. */
const part = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Amount>('ABSENT') },
  { weight: 12, arbitrary: fc.integer({ min: 1, max: 100 }) },
  { weight: 8, arbitrary: fc.constantFrom<Amount>('ALL', 'ONE_MORE') },
  { weight: 1, arbitrary: fc.constantFrom<Amount>(0, -5, 'MAX') },
);
const payment: fc.Arbitrary<PaymentRef> = fc.oneof(
  { weight: 20, arbitrary: fc.nat(7) },
  { weight: 8, arbitrary: fc.constant<PaymentRef>('ROOMIEST') },
  { weight: 1, arbitrary: fc.record({ lastActionOf: fc.nat(7) }) },
  { weight: 1, arbitrary: fc.constantFrom<PaymentRef>('NOT_AN_ID', 'UNKNOWN') },
);

const paying = { between: pair, amount, currency, notes, key };
const pay = fc.record({ do: fc.constant('PAY' as const), ...paying });
const hold = fc.record({
  do: fc.constant('HOLD' as const),
  ...paying,
  days: fc.constantFrom(0 as const, 1 as const, 31 as const),
});
const capture = fc.record({
  do: fc.constant('CAPTURE' as const),
  of: payment,
  amount: part,
  keep: fc.boolean(),
  notes,
  key,
});
const voiding = fc.record({ do: fc.constant('VOID' as const), of: payment, notes, key });
const refund = fc.record({ do: fc.constant('REFUND' as const), of: payment, amount: part, notes, key });

/** Most of what is in a batch must be possible, or no batch ever is. */
const item = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('PAY' as const), ...paying, amount: fc.integer({ min: 1, max: 30 }) }),
  },
  { weight: 1, arbitrary: pay },
  { weight: 1, arbitrary: hold },
  { weight: 2, arbitrary: fc.oneof(capture, voiding, refund) },
);
const batch = fc.record({
  do: fc.constant('BATCH' as const),
  items: fc.array(item, { minLength: 1, maxLength: 4 }),
  key,
});

/** A cent, again and again: until a payment has had too many actions, or a bucket is empty. */
const repeat = fc
  .record({
    times: fc.constantFrom(2, 35, 105),
    of: fc.constantFrom<Pick<Extract<Command, { do: 'REPEAT' }>, 'after' | 'command'>>(
      {
        after: { do: 'HOLD', between: ['world', 'alice'], amount: 150, currency: 'RUB', days: 0, notes: 0 },
        command: { do: 'CAPTURE', of: 0, amount: 1, keep: true, notes: 0 },
      },
      {
        after: { do: 'PAY', between: ['alice', 'world'], amount: 150, currency: 'RUB', notes: 0 },
        command: { do: 'REFUND', of: 0, amount: 1, notes: 0 },
      },
      { command: { do: 'REFUND', of: 'ROOMIEST', amount: 1, notes: 0 } },
      { command: { do: 'PAY', between: ['alice', 'bob'], amount: 1, currency: 'RUB', notes: 0 } },
    ),
  })
  .map(({ times, of }) => ({ do: 'REPEAT' as const, times, ...of }));

const holdBriefly = fc.record({
  do: fc.constant('HOLD_BRIEFLY' as const),
  between: pair,
  amount: fc.integer({ min: 1, max: 300 }),
  capture: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 100 })),
  foundBy: fc.constantFrom('CAPTURE' as const, 'VOID' as const, 'REFUND' as const, 'SWEEPER' as const),
});

const account: fc.Arbitrary<AccountCommand> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('OPEN' as const),
      account: fc.constantFrom('late' as const, 'late' as const, 'late' as const, 'bob' as const, 'world' as const),
      currency,
      external: fc.constantFrom(false, false, false, true),
      limit: fc.constantFrom(0, 0, 200),
    }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constant('UPDATE' as const),
      account: fc.constantFrom<Name>('bob', 'bob', 'world', 'alice', 'bob', 'euro', 'late', 'nobody'),
      limit: fc.constantFrom(undefined, 0, 0, 100, 500),
      notes: fc.constantFrom(undefined, undefined, 0, 2),
      etag,
    }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constantFrom('FREEZE' as const, 'UNFREEZE' as const),
      account: anyAccount,
      debits: fc.boolean(),
      credits: fc.boolean(),
      etag,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('CLOSE' as const),
      account: fc.constantFrom<Name>('euro', 'late', 'bob', 'bob', 'alice', 'world', 'nobody'),
      etag,
    }),
  },
);

const read: fc.Arbitrary<ReadCommand> = fc.oneof(
  fc.record({
    do: fc.constant('GET_PAYMENT' as const),
    of: fc.oneof(payment, fc.record({ key: fc.nat(9) })),
  }),
  fc.record({ do: fc.constantFrom('GET_BALANCE' as const, 'GET_ACCOUNT' as const), account: anyAccount }),
  fc.record({
    do: fc.constant('SNAPSHOT' as const),
    account: anyAccount,
    at: fc.oneof(time, fc.record({ version: fc.nat(12) })),
  }),
  fc.record({ do: fc.constant('LIST_ACTIONS' as const), of: payment, pageSize }),
  fc.record({
    do: fc.constant('LIST_ENTRIES' as const),
    account: anyAccount,
    oldestFirst: fc.boolean(),
    from: time,
    before: time,
    versions: fc.tuple(fc.constantFrom(0, 0, 1, 2, 3), fc.constantFrom(0, 0, 2, 3, 5, 8)),
    pageSize,
  }),
  fc.record({
    do: fc.constant('LIST_PAYMENTS' as const),
    account: anyAccount,
    role: fc.nat(2),
    statuses: fc.uniqueArray(fc.constantFrom(1, 2, 4, 5, 6, 7), { maxLength: 2 }),
    reference: fc.constantFrom(false, false, true),
    from: time,
    before: time,
    pageSize,
  }),
);

/** How often each comes up is chosen so that 2,000 sequences reach every answer many times. */
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 80, arbitrary: pay },
  { weight: 80, arbitrary: hold },
  { weight: 80, arbitrary: capture },
  { weight: 30, arbitrary: voiding },
  { weight: 80, arbitrary: refund },
  { weight: 30, arbitrary: again },
  { weight: 70, arbitrary: account },
  { weight: 60, arbitrary: read },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('INVALID' as const), request: fc.nat(30) }) },
  { weight: 60, arbitrary: batch },
  { weight: 5, arbitrary: holdBriefly },
  { weight: 1, arbitrary: repeat },
);

export const commands: fc.Arbitrary<Command[]> = fc.array(command, {
  minLength: 1,
  maxLength: 40,
  size: 'max',
});
