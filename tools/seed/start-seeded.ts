import { parseArgs } from 'node:util';
import { channelOf } from '../../src/cli/api.ts';
import { callerFrom } from '../caller.ts';
import { LedgerClient } from '../client.ts';
import { portTaken } from '../stack/free-port.ts';
import { removeData } from '../stack/stack.ts';
import { SEEDED_FOLDER, startSystem } from '../system.ts';
import { emptyBooks, seedBooks } from './books.ts';
import { startControl } from './control.ts';
import { readSeedFile } from './seed-file.ts';

export interface StartOptions {
  readonly seed: string | undefined;
  readonly controlPort: number;
}

const DEFAULT_CONTROL_PORT = 50052;

/** What npm start was told. Throws an error that names the option. */
export function startOptions(args: readonly string[]): StartOptions {
  const { values } = parseArgs({
    args: [...args],
    options: { seed: { type: 'string' }, 'control-port': { type: 'string' } },
  });
  const controlPort = Number(values['control-port'] ?? DEFAULT_CONTROL_PORT);
  if (!Number.isInteger(controlPort) || controlPort < 0 || controlPort > 65_535) {
    throw new Error(`--control-port must be a port from 0 to 65535, not ${values['control-port']}`);
  }
  if (values.seed === undefined && values['control-port'] !== undefined) {
    throw new Error('--control-port has a meaning only together with --seed');
  }
  return { seed: values.seed, controlPort };
}

/** Throws if the books would be somebody else's: a reset empties them. */
export function rejectForeignServers(env: NodeJS.ProcessEnv): void {
  for (const variable of ['DATABASE_URL', 'REDIS_URL', 'KAFKA_BROKERS']) {
    if (env[variable]) {
      throw new Error(`--seed is for servers that npm start starts itself, as a reset empties them: unset ${variable}`);
    }
  }
}

/** The whole system on books that hold what the file says, and that can be reset to it. */
export async function startSeeded(
  { seed, controlPort }: { seed: string; controlPort: number },
  signal: AbortSignal,
  finish: (error: Error) => void,
): Promise<() => Promise<void>> {
  rejectForeignServers(process.env);
  const caller = callerFrom(process.env);
  const accounts = await readSeedFile(seed);
  if (controlPort !== 0 && (await portTaken(controlPort))) {
    throw new Error(`Port ${controlPort} is taken: set --control-port to another (0 takes a free one)`);
  }
  await removeData(SEEDED_FOLDER);
  const onProgress = (message: string) => console.log(`· ${message}`);
  const system = await startSystem({ dataDir: SEEDED_FOLDER, env: process.env, onProgress, signal, onFailure: finish });
  const client = new LedgerClient(system.apiAddress, channelOf(caller), caller.token);
  const stops = [() => system.stop(), async () => client.close()];
  const stop = async () => {
    for (const each of stops.toReversed()) await each();
  };
  try {
    const servers = {
      databaseUrl: system.stack.postgres.address,
      redisUrl: system.stack.redis.address,
      kafkaBrokers: system.stack.kafka.address,
      topic: process.env['KAFKA_TOPIC'] || 'payment.events.v1',
    };
    await seedBooks(client, accounts, servers);
    const control = await startControl(controlPort, async () => {
      await emptyBooks(servers);
      await seedBooks(client, accounts, servers);
    });
    stops.push(() => control.close());
    console.log(`
Payment Ledger is ready, with ${accounts.length} accounts of ${seed}. Ctrl-C stops it.

  gRPC      ${system.apiAddress}
  Postgres  ${servers.databaseUrl}
  Kafka     ${system.stack.kafka.address}, topic ${servers.topic}
  ready     curl ${control.address}/readyz
  reset     curl -X POST ${control.address}/reset
`);
    return stop;
  } catch (error) {
    await stop();
    throw error;
  }
}
