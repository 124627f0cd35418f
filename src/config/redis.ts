import { z } from 'zod';
import {
  addresses,
  certificates,
  checkKeyPair,
  checkPassword,
  privateKey,
  secret,
  url,
  withPassword,
} from './values.ts';

export const redisVariables = {
  /** rediss:// encrypts, and verifies the server's certificate and name. */
  REDIS_URL: url('redis:', 'rediss:'),
  /** For a password that is mounted apart from the URL. */
  REDIS_PASSWORD: secret.optional(),
  /** PEM, as the next two: the authorities to trust instead of those that come with Node. */
  REDIS_TLS_CA: certificates.optional(),
  /** For servers that ask for a client certificate. */
  REDIS_TLS_CERT: certificates.optional(),
  REDIS_TLS_KEY: privateKey.optional(),
  /** Set, they name the primary, and of REDIS_URL only scheme, credentials and database count. */
  REDIS_SENTINELS: addresses.optional(),
  /** What the Sentinels call the primary and its replicas. */
  REDIS_SENTINEL_NAME: z.string().min(1).default('mymaster'),
  /** Of the Sentinels themselves. */
  REDIS_SENTINEL_USERNAME: z.string().optional(),
  REDIS_SENTINEL_PASSWORD: secret.optional(),
  /** Some nodes of a Redis Cluster, who name the others; of REDIS_URL only scheme and credentials count then. */
  REDIS_CLUSTER_NODES: addresses.optional(),
};

type Variables = z.output<z.ZodObject<typeof redisVariables>>;

export function checkRedis(variables: Variables, context: z.RefinementCtx): void {
  const report = (name: keyof Variables, message: string) =>
    context.addIssue({ code: 'custom', path: [name], message });
  checkPassword(variables, 'REDIS_URL', 'REDIS_PASSWORD', context);
  checkKeyPair(variables, 'REDIS_TLS_CERT', 'REDIS_TLS_KEY', context);
  if (!isEncrypted(variables)) {
    for (const name of ['REDIS_TLS_CA', 'REDIS_TLS_CERT', 'REDIS_TLS_KEY'] as const) {
      if (variables[name] !== undefined) report(name, 'is of no use unless REDIS_URL begins with rediss://');
    }
  }
  if (variables.REDIS_CLUSTER_NODES !== undefined) {
    if (variables.REDIS_SENTINELS !== undefined) report('REDIS_CLUSTER_NODES', 'does not go with REDIS_SENTINELS');
    if (!['', '/', '/0'].includes(new URL(variables.REDIS_URL).pathname)) {
      report('REDIS_CLUSTER_NODES', 'has one database only, and REDIS_URL names another one');
    }
  }
  if (variables.REDIS_SENTINELS === undefined) {
    for (const name of ['REDIS_SENTINEL_USERNAME', 'REDIS_SENTINEL_PASSWORD'] as const) {
      if (variables[name] !== undefined) report(name, 'is of no use without REDIS_SENTINELS');
    }
  }
}

/** Where Redis is and how it is reached. */
export function redisAddress(variables: Variables) {
  const { REDIS_SENTINELS: sentinels, REDIS_SENTINEL_NAME: name } = variables;
  return {
    url: withPassword(variables.REDIS_URL, variables.REDIS_PASSWORD),
    tls: isEncrypted(variables)
      ? { ca: variables.REDIS_TLS_CA, cert: variables.REDIS_TLS_CERT, key: variables.REDIS_TLS_KEY }
      : undefined,
    sentinel:
      sentinels === undefined
        ? undefined
        : {
            addresses: sentinels.map(toHostAndPort),
            name,
            username: variables.REDIS_SENTINEL_USERNAME,
            password: variables.REDIS_SENTINEL_PASSWORD,
          },
    clusterNodes: variables.REDIS_CLUSTER_NODES?.map(toHostAndPort),
  };
}

function isEncrypted({ REDIS_URL }: Variables): boolean {
  return new URL(REDIS_URL).protocol === 'rediss:';
}

function toHostAndPort(text: string): { host: string; port: number } {
  const [host, port] = text.split(':') as [string, string];
  return { host, port: Number(port) };
}
