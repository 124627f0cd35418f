import type {
  Books,
  BooksRule,
  BooksStage,
  CurrencySum,
  ExaminedRange,
  Finding,
  RangeKey,
} from '../../src/app/reconciliation/books.ts';
import type {
  LastReconciliation,
  ReconciliationHistory,
  RecordedReconciliation,
} from '../../src/app/reconciliation/reconcile-lately.ts';

type TableStage = Exclude<BooksStage, 'CURRENCIES'>;

/** A row by its key, and the rule that it breaks. */
export interface Row {
  readonly key: string;
  readonly breaks?: BooksRule;
}

/** Books in memory, that tell in which order they were examined. */
export class InMemoryBooks implements Books {
  readonly rows: Partial<Record<TableStage, readonly Row[]>>;
  readonly sums: readonly CurrencySum[];
  /** "STAGE after KEY" for each range, "CURRENCIES" for the sums. */
  readonly examined: string[] = [];
  /** Called before each range. */
  before: () => void = () => undefined;

  constructor(rows: Partial<Record<TableStage, readonly Row[]>> = {}, sums: readonly CurrencySum[] = []) {
    this.rows = rows;
    this.sums = sums;
  }

  paymentsFrom(time: Date): RangeKey {
    return [time.toISOString()];
  }

  async examine(stage: TableStage, after: RangeKey | undefined, limit: number): Promise<ExaminedRange> {
    this.before();
    this.examined.push(after === undefined ? stage : `${stage} after ${after.join(' ')}`);
    const page = (this.rows[stage] ?? []).filter(({ key }) => after === undefined || key > after[0]!).slice(0, limit);
    const last = page.at(-1);
    return { rows: page.length, last: last && [last.key], findings: page.flatMap(toFinding) };
  }

  async sumCurrencies(): Promise<CurrencySum[]> {
    this.before();
    this.examined.push('CURRENCIES');
    return [...this.sums];
  }
}

function toFinding({ key, breaks }: Row): Finding[] {
  return breaks === undefined ? [] : [{ rule: breaks, culprit: key }];
}

/** A history in memory, by a clock that stands still unless it is moved. */
export class InMemoryHistory implements ReconciliationHistory {
  nowMs = Date.parse('2026-11-01T12:00:00Z');
  readonly recorded: RecordedReconciliation[] = [];

  async now(): Promise<Date> {
    return new Date(this.nowMs);
  }

  async last(): Promise<LastReconciliation | undefined> {
    throw new Error('Only metrics ask for this');
  }

  async latest(whole: boolean): Promise<RecordedReconciliation | undefined> {
    return this.recorded.findLast((each) => each.whole === whole && each.startedAt.getTime() <= this.nowMs);
  }

  async countFuture(): Promise<number> {
    return this.recorded.filter(({ startedAt }) => startedAt.getTime() > this.nowMs).length;
  }

  async begin(since: Date | undefined, progress: RecordedReconciliation['progress']): Promise<RecordedReconciliation> {
    const begun = {
      id: BigInt(this.recorded.length),
      whole: since === undefined,
      startedAt: await this.now(),
      since,
      progress,
    };
    this.recorded.push(begun);
    return begun;
  }

  async advance({ id, progress: before }: RecordedReconciliation, progress: RecordedReconciliation['progress']) {
    const current = this.recorded[Number(id)]!;
    const { stage, after } = current.progress;
    if (stage !== before.stage || after?.join() !== before.after?.join()) {
      throw new Error('Another worker goes on with this reconciliation');
    }
    this.recorded[Number(id)] = { ...current, progress };
  }
}
