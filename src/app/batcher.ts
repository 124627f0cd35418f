/** A call that waits for its batch. */
export interface Call<Item, Answer> {
  readonly item: Item;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

export interface BatchLimits<Item> {
  /** Batches in flight at a time. */
  readonly slots: number;
  /** The most items in one batch. */
  readonly maxBatch?: number;
  /** How many items one counts as: one unless this says otherwise. One that is more than a batch has one to itself. */
  readonly weightOf?: (item: Item) => number;
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
  readonly #limits: Required<BatchLimits<Item>>;
  #queue: Call<Item, Answer>[] = [];
  /** Of all in the queue. */
  #weight = 0;
  readonly #inFlight = new Set<Promise<void>>();
  #begins = false;

  /** run answers every call of its batch, or puts it back; it never throws. */
  constructor(run: (calls: readonly Call<Item, Answer>[]) => Promise<void>, limits: BatchLimits<Item>) {
    this.#run = run;
    this.#limits = {
      maxBatch: Number.POSITIVE_INFINITY,
      weightOf: () => 1,
      secondSlotFrom: 1,
      gather: false,
      ...limits,
    };
  }

  /** Calls whose batch has not begun, as much as they count. */
  get queued(): number {
    return this.#weight;
  }

  /** Whether a call waits for its batch or its answer. */
  get busy(): boolean {
    return this.#queue.length > 0 || this.#inFlight.size > 0;
  }

  submit(item: Item): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ item, resolve, reject });
      this.#weight += this.#limits.weightOf(item);
      this.#start();
    });
  }

  /** The calls are first in the next batch. */
  putBack(calls: readonly Call<Item, Answer>[]): void {
    this.#queue = [...calls, ...this.#queue];
    this.#weight += this.#weigh(calls);
    this.#start();
  }

  /** Takes the calls whose batch has not begun out of the queue. */
  takeQueue(): Call<Item, Answer>[] {
    this.#weight = 0;
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
      const batch = this.#run(this.#takeBatch()).finally(() => {
        this.#inFlight.delete(batch);
        this.#start();
      });
      this.#inFlight.add(batch);
    }
  }

  #takeBatch(): Call<Item, Answer>[] {
    const { maxBatch, weightOf } = this.#limits;
    let count = maxBatch;
    // Where each counts as one, nothing has to be added up.
    if (this.#weight > this.#queue.length) {
      let weight = 0;
      count = this.#queue.findIndex(({ item }, index) => {
        weight += weightOf(item);
        return weight > maxBatch && index > 0;
      });
      if (count === -1) count = this.#queue.length;
    }
    const batch = this.#queue.splice(0, count);
    this.#weight -= this.#weigh(batch);
    return batch;
  }

  #weigh(calls: readonly Call<Item, Answer>[]): number {
    return calls.reduce((weight, { item }) => weight + this.#limits.weightOf(item), 0);
  }

  #mayBegin(): boolean {
    const { slots, secondSlotFrom } = this.#limits;
    const busy = this.#inFlight.size;
    return busy < slots && this.#weight >= (busy === 0 ? 1 : secondSlotFrom);
  }
}

/**
 * The same for batches that succeed or fail as a whole: run answers the items in
 * their order, and if it throws, every call of the batch does. Calls of one turn of
 * the event loop are together.
 */
export function batched<Item, Answer>(
  run: (items: readonly Item[]) => Promise<readonly Answer[]>,
  limits: BatchLimits<Item>,
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
