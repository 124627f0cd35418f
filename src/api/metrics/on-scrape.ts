import type { Metric, Registry } from 'prom-client';

export interface Reading {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** Where it is not the metric's own: those of a histogram have suffixes. */
  readonly metricName?: string;
}

export interface Description {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
}

/**
 * A metric whose numbers are kept elsewhere, and read when it is scraped. prom-client's own
 * look their labels up by a text made of them each time: too much for what every call counts.
 */
export function readOnScrape(registry: Registry, description: Description, read: () => Iterable<Reading>): void {
  const metric = { ...description, get: async () => ({ ...description, aggregator: 'sum', values: [...read()] }) };
  // A registry asks no more of a metric than its name and get().
  registry.registerMetric(metric as unknown as Metric);
}

/** What one line of a histogram has observed. */
export class Observations {
  readonly #bounds: readonly number[];
  /** Each without those below it; the last are above all bounds. */
  readonly #counts: number[];
  #sum = 0;

  /** bounds rise. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Array(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    this.#sum += value;
    let bucket = 0;
    while (bucket < this.#bounds.length && value > this.#bounds[bucket]!) bucket += 1;
    this.#counts[bucket]! += 1;
  }

  /** As Prometheus wants them: each bucket with those below it. */
  *readings(name: string, labels: Readonly<Record<string, string>>): Generator<Reading> {
    let count = 0;
    for (const [index, bound] of [...this.#bounds, '+Inf'].entries()) {
      count += this.#counts[index]!;
      yield { metricName: `${name}_bucket`, labels: { le: String(bound), ...labels }, value: count };
    }
    yield { metricName: `${name}_sum`, labels, value: this.#sum };
    yield { metricName: `${name}_count`, labels, value: count };
  }
}
