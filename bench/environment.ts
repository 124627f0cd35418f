import { join } from 'node:path';
import { removeData, type Stack, startStack } from '../tools/stack/stack.ts';
import {
  type BenchDatabase,
  createDatabase,
  type DatabaseOptions,
  dropDatabases,
  durableSettings,
} from './database.ts';
import { LoadProcess } from './load-process.ts';
import { type ServiceProcess, type ServiceSpec, startService } from './service-process.ts';

const FOLDER = join(import.meta.dirname, '../.local/bench');
const DATA = join(FOLDER, 'data');

/** Where results go: NAME.json. */
export const RESULTS_FOLDER = FOLDER;

/** An address at which nothing answers, for what a benchmark does without. */
export const NOWHERE = '127.0.0.1:9';

export interface EnvironmentOptions {
  /** Whether the benchmark publishes events. A broker costs CPU even when it is idle. */
  readonly kafka: boolean;
  readonly onProgress: (message: string) => void;
}

/** Servers that were empty when the benchmark began, and everything it starts on them. */
export class Environment {
  readonly stack: Stack;
  /** Of Postgres. */
  readonly settings: Readonly<Record<string, string>>;
  readonly load = new LoadProcess();
  readonly #services: ServiceProcess[] = [];
  readonly #databases: BenchDatabase[] = [];

  private constructor(stack: Stack, settings: Readonly<Record<string, string>>) {
    this.stack = stack;
    this.settings = settings;
  }

  /** Throws if another benchmark is running, or if Postgres would not be durable. */
  static async start({ kafka, onProgress }: EnvironmentOptions): Promise<Environment> {
    await removeData(DATA);
    const env = kafka ? process.env : { ...process.env, KAFKA_BROKERS: NOWHERE };
    const stack = await startStack({ dataDir: DATA, env, onProgress });
    try {
      return new Environment(stack, await durableSettings(stack.postgres.address));
    } catch (error) {
      await stack.stop();
      throw error;
    }
  }

  /** A database of its own for something that is compared. */
  async database(name: string, options?: DatabaseOptions): Promise<BenchDatabase> {
    const database = await createDatabase(this.stack.postgres.address, `payment_ledger_bench_${name}`, options);
    this.#databases.push(database);
    return database;
  }

  /** Where processes keep their logs, and whatever else goes when the benchmark ends. */
  get folder(): string {
    return DATA;
  }

  /** The API on the database, with a rate limit that never bites; env overrides any setting. */
  api(
    name: string,
    database: BenchDatabase,
    env: Readonly<Record<string, string>> = {},
    nodeArgs: readonly string[] = [],
  ): Promise<ServiceProcess> {
    return this.#start({
      name,
      script: 'src/api/main.ts',
      nodeArgs,
      folder: DATA,
      env: {
        DATABASE_URL: database.url,
        REDIS_URL: this.stack.redis.address,
        RATE_LIMIT_CAPACITY: '1000000',
        RATE_LIMIT_REFILL_PER_SECOND: '1000000',
        ...env,
      },
    });
  }

  relay(name: string, database: BenchDatabase, env: Readonly<Record<string, string>> = {}): Promise<ServiceProcess> {
    return this.#start({
      name,
      script: 'src/relay/main.ts',
      folder: DATA,
      env: {
        DATABASE_URL: database.url,
        REDIS_URL: this.stack.redis.address,
        KAFKA_BROKERS: this.stack.kafka.address,
        ...env,
      },
    });
  }

  noop(): Promise<ServiceProcess> {
    return this.#start({ name: 'noop', script: 'bench/servers/noop.ts', folder: DATA, env: {} });
  }

  /** The id of the postmaster; undefined if Postgres is not ours. */
  get postmaster(): number | undefined {
    try {
      return this.stack.postgres.pid;
    } catch {
      return undefined;
    }
  }

  /** Undefined if Redis is not ours. */
  get redisPid(): number | undefined {
    try {
      return this.stack.redis.pid;
    } catch {
      return undefined;
    }
  }

  /** Stops all of it and removes the data. */
  async stop(): Promise<void> {
    await this.load.stop();
    await Promise.all(this.#services.map((service) => service.stop()));
    await Promise.all(this.#databases.map((database) => database.close()));
    // Where Postgres is not ours to remove, the databases are.
    if (this.postmaster === undefined) {
      await dropDatabases(
        this.stack.postgres.address,
        this.#databases.map(({ name }) => name),
      );
    }
    await this.stack.stop();
    await removeData(DATA);
  }

  async #start(spec: ServiceSpec): Promise<ServiceProcess> {
    const service = await startService(spec);
    this.#services.push(service);
    return service;
  }
}
