/** What somebody does to the service while others pay. */
export type Abuse =
  /** A session keeps the balance of an account locked, whose owner pays five times a second. */
  | { readonly kind: 'locked account'; readonly databaseUrl: string; readonly payer: string; readonly payee: string }
  /** A session keeps an idempotency key claimed, with which somebody pays five times a second. */
  | { readonly kind: 'locked key'; readonly databaseUrl: string; readonly payer: string; readonly payee: string }
  /** Health/Watch of services with long names that do not exist, each cancelled once it is answered. */
  | { readonly kind: 'watches' }
  /** Reflection streams that ask for long symbols as fast as they are answered. */
  | { readonly kind: 'reflection' }
  /** Waves of OpenAccount on several connections. */
  | { readonly kind: 'openings' }
  /** Waves of GetAccountBalance on several connections. */
  | { readonly kind: 'reads'; readonly accounts: number };

/** What an abuse process is asked to do, until it is told to stop. */
export type Order =
  | { readonly kind: 'start'; readonly address: string; readonly abuse: Abuse }
  | { readonly kind: 'stop' };

/** How many calls ended in what way. */
export type Outcomes = Readonly<Record<string, number>>;

/** What an abuse process says. */
export type Report =
  | { readonly kind: 'began' }
  | { readonly kind: 'ended'; readonly outcomes: Outcomes }
  | { readonly kind: 'failed'; readonly message: string };

/** An abuse that is going on. */
export interface Running {
  /** Ends it, and waits until the service has answered what it was asked. */
  stop(): Promise<Outcomes>;
}

export class Tally {
  readonly outcomes: Record<string, number> = {};

  add(outcome: string): void {
    this.outcomes[outcome] = (this.outcomes[outcome] ?? 0) + 1;
  }
}
