import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { buildImage } from './image/build.ts';
import { findImagePrograms } from './image/programs.ts';
import { tryImage } from './image/trial.ts';
import { applicationAddress } from './stack/postgres.ts';
import { removeData, startStack } from './stack/stack.ts';

const HELP = `npm run image: builds the Dockerfile without an engine and tries the image on fresh data.

buildah builds it, on a stand-in for its base image that is made from Debian's packages
and the npm package of Node; then migrations, API, relay and the command ledger run from
the image, as its user and on a root that cannot be written to, and a payment goes
through. buildah and debootstrap are taken from the path or unpacked into .local/cache.
Nothing of the image is kept.

Exit codes: 0 all of it worked, or it was skipped, with the reason said; 1 something failed.`;

async function main(): Promise<void> {
  const programs = await findImagePrograms();
  if (typeof programs === 'string') return console.log(`skipped: ${programs}`);
  const since = Date.now();
  const say = (message: string) => console.log(`· ${message}`);
  const image = await buildImage(programs, say);
  const dataDir = await mkdtemp(join(import.meta.dirname, '../.local/image-trial-'));
  try {
    const cache = { PAYMENT_LEDGER_CACHE: process.env['PAYMENT_LEDGER_CACHE'] };
    const stack = await startStack({ dataDir, env: cache, onProgress: say });
    try {
      const servers = {
        ownerUrl: stack.postgres.address,
        applicationUrl: applicationAddress(stack.postgres.address),
        redisUrl: stack.redis.address,
        kafkaBrokers: stack.kafka.address,
        topic: 'payment.events.v1',
      };
      const { paymentId, verified } = await tryImage(image, servers, join(dataDir, 'trial'), say);
      const seconds = Math.round((Date.now() - since) / 1_000);
      console.log(`${verified}The image works: payment ${paymentId} went through; ${seconds} s in all.`);
    } finally {
      await stack.stop();
    }
  } finally {
    await removeData(dataDir);
    await image.remove();
  }
}

if (process.argv.includes('--help')) console.log(HELP);
else {
  try {
    await main();
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
