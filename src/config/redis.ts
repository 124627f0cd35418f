import { z } from 'zod';
import { addresses, checkPassword, secret, url, withPassword } from './values.ts';

export const redisVariables = {
  REDIS_URL: url('redis:', 'rediss:'),
  /** For a password that is mounted apart from the URL. */
  REDIS_PASSWORD: secret.optional(),
  /** Set, they name the primary, and of REDIS_URL only credentials and database count. */
  REDIS_SENTINELS: addresses.optional(),
  /** What the Sentinels call the primary and its replicas. */
  REDIS_SENTINEL_NAME: z.string().min(1).default('mymaster'),
};

type Variables = z.output<z.ZodObject<typeof redisVariables>>;

export function checkRedis(variables: Variables, context: z.RefinementCtx): void {
  checkPassword(variables, 'REDIS_URL', 'REDIS_PASSWORD', context);
}

/** Where Redis is and how it is reached. */
export function redisAddress(variables: Variables) {
  const { REDIS_SENTINELS: sentinels, REDIS_SENTINEL_NAME: name } = variables;
  const url = withPassword(variables.REDIS_URL, variables.REDIS_PASSWORD);
  if (sentinels === undefined) return { url };
  const addresses = sentinels.map((text) => {
    const [host, port] = text.split(':') as [string, string];
    return { host, port: Number(port) };
  });
  return { url, sentinel: { addresses, name } };
}
