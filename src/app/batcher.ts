/** A call that waits for its batch. */
export interface Call<Item, Answer> {
  readonly item: Item;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

export interface BatchLimits {
  /** Batches in flight at a time. */
  readonly slots: number;
  /** The most items in one batch. */
  readonly maxBatch?: number;
  /** A batch begins beside others only for so many items: below that, sharing the next one costs less. */
  readonly secondSlotFrom?: number;
  /** Begin at the end of a turn of the event loop, so that the calls made in it are together. */
  readonly gather?: boolean;
}

/**
 * Makes few batches of many concurrent calls: those that come while batches are in
 * flight share the next one. There is no timer: a lone call does not wait.
 */
export class Batcher<Item, Answer> {
  readonly #run: (calls: readonly Call<Item, Answer>[]) => Promise<void>;
  readonly #limits: Required<BatchLimits>;
  #queue: Call<Item, Answer>[] = [];
  readonly #inFlight = new Set<Promise<void>>();
  #begins = false;

  /** run answers every call of its batch, or puts it back; it never throws. */
  constructor(run: (calls: readonly Call<Item, Answer>[]) => Promise<void>, limits: BatchLimits) {
    this.#run = run;
    this.#limits = { maxBatch: Number.POSITIVE_INFINITY, secondSlotFrom: 1, gather: false, ...limits };
  }

  /** Calls whose batch has not begun. */
  get queued(): number {
    return this.#queue.length;
  }

  /** Whether a call waits for its batch or its answer. */
  get busy(): boolean {
    return this.#queue.length > 0 || this.#inFlight.size > 0;
  }

  submit(item: Item): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ item, resolve, reject });
      this.#start();
    });
  }

  /** The calls are first in the next batch. */
  putBack(calls: readonly Call<Item, Answer>[]): void {
    this.#queue = [...calls, ...this.#queue];
    this.#start();
  }

  /** Takes the calls whose batch has not begun out of the queue. */
  takeQueue(): Call<Item, Answer>[] {
    return this.#queue.splice(0);
  }

  /** Resolves when no batch is in flight. */
  async idle(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.all(this.#inFlight);
  }

  #start(): void {
    if (!this.#limits.gather) this.#begin();
    else if (!this.#begins && this.#mayBegin()) {
      this.#begins = true;
      setImmediate(() => {
        this.#begins = false;
        this.#begin();
      });
    }
  }

  #begin(): void {
    while (this.#mayBegin()) {
      const batch = this.#run(this.#queue.splice(0, this.#limits.maxBatch)).finally(() => {
        this.#inFlight.delete(batch);
        this.#start();
      });
      this.#inFlight.add(batch);
    }
  }

  #mayBegin(): boolean {
    const { slots, secondSlotFrom } = this.#limits;
    const busy = this.#inFlight.size;
    return busy < slots && this.#queue.length >= (busy === 0 ? 1 : secondSlotFrom);
  }
}

/**
 * The same for batches that succeed or fail as a whole: run answers the items in
 * their order, and if it throws, every call of the batch does. Calls of one turn of
 * the event loop are together.
 */
export function batched<Item, Answer>(
  run: (items: readonly Item[]) => Promise<readonly Answer[]>,
  limits: BatchLimits,
): (item: Item) => Promise<Answer> {
  const batcher = new Batcher<Item, Answer>(
    async (calls) => {
      try {
        const answers = await run(calls.map(({ item }) => item));
        for (const [index, { resolve }] of calls.entries()) resolve(answers[index]!);
      } catch (error) {
        for (const { reject } of calls) reject(error);
      }
    },
    { gather: true, ...limits },
  );
  return (item) => batcher.submit(item);
}
