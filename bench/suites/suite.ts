import type { Environment } from '../environment.ts';
import type { Options } from '../options.ts';
import type { Findings } from '../report.ts';

/** What every benchmark is given. */
export interface Bench {
  readonly environment: Environment;
  readonly options: Options;
  /** Tells whoever waits what is going on. */
  readonly onProgress: (message: string) => void;
  /** Aborted when the run is to end early. */
  readonly signal: AbortSignal;
}

export interface Suite {
  /** Whether it needs a Kafka broker. */
  readonly kafka: boolean;
  /** What it measures takes a turn of so many milliseconds, whatever was asked for. */
  readonly shortestTurnMs?: number;
  run(bench: Bench): Promise<Findings>;
}
