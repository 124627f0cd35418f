interface Waiting<Value> {
  readonly resolve: (value: Value | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** Statements in flight at a time: with a second one, a slow read does not hold up those after it. */
const LANES = 2;

/** Keys in one statement. */
const MAX_KEYS = 256;

/**
 * Looks up by one statement what many callers ask for at the same time: those who
 * come while statements are in flight share the next one. A lone caller's starts at
 * once. Every statement is sent after its callers came, so they see all that was
 * committed before they asked.
 *
 * A statement of one row costs this process about as much as one of twenty.
 */
export class SharedReads<Value> {
  readonly #read: (keys: readonly string[]) => Promise<ReadonlyMap<string, Value>>;
  /** In the order in which they were first asked for. */
  readonly #waiting = new Map<string, Waiting<Value>[]>();
  #inFlight = 0;
  #begins = false;

  /** read returns what it finds, by key. */
  constructor(read: (keys: readonly string[]) => Promise<ReadonlyMap<string, Value>>) {
    this.#read = read;
  }

  /** Resolves to undefined if there is nothing under the key. Rejects as read does. */
  get(key: string): Promise<Value | undefined> {
    return new Promise((resolve, reject) => {
      const others = this.#waiting.get(key);
      if (others === undefined) this.#waiting.set(key, [{ resolve, reject }]);
      else others.push({ resolve, reject });
      this.#beginSoon();
    });
  }

  /** At the end of this turn of the event loop, so that callers who came in it are together. */
  #beginSoon(): void {
    if (this.#begins || this.#inFlight >= LANES) return;
    this.#begins = true;
    setImmediate(() => {
      this.#begins = false;
      void this.#run();
    });
  }

  async #run(): Promise<void> {
    const keys = [...this.#waiting.keys()].slice(0, MAX_KEYS);
    const callers = keys.map((key) => this.#waiting.get(key)!);
    for (const key of keys) this.#waiting.delete(key);
    this.#inFlight += 1;
    if (this.#waiting.size > 0) this.#beginSoon();
    try {
      const found = await this.#read(keys);
      for (const [index, key] of keys.entries()) {
        const value = found.get(key);
        for (const { resolve } of callers[index]!) resolve(value);
      }
    } catch (error) {
      for (const { reject } of callers.flat()) reject(error);
    } finally {
      this.#inFlight -= 1;
      if (this.#waiting.size > 0) this.#beginSoon();
    }
  }
}
