import { Redis, type RedisOptions } from 'ioredis';

type Options = Omit<RedisOptions, 'protocol' | 'replyMapping'>;

interface Log {
  warn(fields: object, message: string): void;
}

export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/**
 * Says of each server why it cannot be connected to. Where ioredis asks several for the
 * way, to a primary or to the nodes of a cluster, it keeps that to itself. Never throws.
 */
export async function logReasons(servers: readonly HostAndPort[], options: Options, log: Log): Promise<void> {
  const logReason = async ({ host, port }: HostAndPort) => {
    const error = await failureToConnect({ ...options, host, port });
    if (error !== undefined) log.warn({ err: error, server: `${host}:${port}` }, 'no connection to this Redis server');
  };
  await Promise.all(servers.map(logReason));
}

async function failureToConnect(options: Options): Promise<Error | undefined> {
  const redis = new Redis({
    ...options,
    connectTimeout: 2_000,
    lazyConnect: true,
    enableReadyCheck: false,
    retryStrategy: null,
  });
  try {
    // connect() would only say that it is closed.
    return await new Promise((resolve) => {
      redis.on('error', resolve);
      redis.connect().then(() => resolve(undefined), resolve);
    });
  } finally {
    redis.disconnect();
  }
}
