import { Gauge, type Registry } from 'prom-client';
import { withinLimit } from '../app/time-limit.ts';
import type { Logger } from './ports.ts';

/** A scrape that waits longer for a database is one that Prometheus gives up, and then all of the process's metrics are missing. */
const SAMPLE_LIMIT_MS = 2_000;

export type GaugeOf<Sample> = readonly [help: string, value: (sample: Sample) => number | undefined];

/**
 * Gauges about the database, sampled when they are scraped. While it is unreachable
 * they stay at their last values, and payment_ledger_sample_age_seconds tells how old
 * those are: what was wrong before an outage is not well because nobody can see it.
 */
export class SampledGauges {
  readonly #registry: Registry;
  readonly #log: Logger;
  readonly #samples: SharedSample<unknown>[] = [];

  constructor(registry: Registry, log: Logger) {
    this.#registry = registry;
    this.#log = log;
    const samples = this.#samples;
    new Gauge({
      name: 'payment_ledger_sample_age_seconds',
      help: "How old what is shown of the database is; since the process's start, if it was never sampled.",
      labelNames: ['sample'],
      registers: [registry],
      async collect() {
        await Promise.all(samples.map((sample) => sample.take()));
        for (const { name, ageSeconds } of samples) this.set({ sample: name }, ageSeconds);
      },
    });
  }

  /** Gauges that share one sample for each scrape, by their names. */
  add<Sample>(name: string, take: () => Promise<Sample>, gauges: Readonly<Record<string, GaugeOf<Sample>>>): void {
    const sample = new SharedSample(name, take, this.#log);
    this.#samples.push(sample);
    for (const [gaugeName, [help, read]] of Object.entries(gauges)) {
      const gauge: Gauge = new Gauge({
        name: gaugeName,
        help,
        registers: [this.#registry],
        async collect() {
          const last = await sample.take();
          const value = last && read(last.value);
          if (value === undefined) gauge.remove();
          else gauge.set(value);
        },
      });
    }
  }
}

class SharedSample<Sample> {
  readonly name: string;
  readonly #take: () => Promise<Sample>;
  readonly #log: Logger;
  #taking: Promise<void> | undefined;
  #last: { readonly value: Sample } | undefined;
  #takenAt = performance.now();
  #failing = false;

  constructor(name: string, take: () => Promise<Sample>, log: Logger) {
    this.name = name;
    this.#take = take;
    this.#log = log;
  }

  get ageSeconds(): number {
    return (performance.now() - this.#takenAt) / 1_000;
  }

  /** A new sample, or the last one if that takes too long; undefined if there was none. Never throws. */
  async take(): Promise<{ readonly value: Sample } | undefined> {
    // A scrape collects all gauges at once, and a sample that hangs is not asked for again.
    this.#taking ??= this.#refresh().finally(() => {
      this.#taking = undefined;
    });
    try {
      await withinLimit(this.#taking, SAMPLE_LIMIT_MS);
      if (this.#failing) this.#log.info({ sample: this.name }, 'metrics: the database can be sampled again');
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#log.warn({ err: error, sample: this.name }, 'metrics: the database cannot be sampled');
      this.#failing = true;
    }
    return this.#last;
  }

  async #refresh(): Promise<void> {
    const value = await this.#take();
    this.#last = { value };
    this.#takenAt = performance.now();
  }
}
