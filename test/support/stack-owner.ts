import { startStack } from '../../tools/stack/stack.ts';

// Owns a Postgres and a Redis in the folder it is given until it is killed.
const [, , dataDir] = process.argv;
const stack = await startStack({ dataDir: dataDir!, env: { ...process.env, KAFKA_BROKERS: '127.0.0.1:1' } });
console.log(JSON.stringify([stack.postgres.address, stack.redis.address]));
