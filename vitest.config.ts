import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

// Polls wait for a state, and on a busy machine that takes its time. Vitest's own second is too short for it.
const expect = { poll: { timeout: 60_000 } };

// Servers are shared by all files; each has a database, a Redis database and a topic of
// its own on them, and servers of its own if it stops any.
const onServers = {
  globalSetup: ['test/support/global-setup.ts'],
  // Only against what never ends: beside much else, a process takes half a minute to start.
  testTimeout: 180_000,
  hookTimeout: 240_000,
  expect,
};

export default defineConfig({
  test: {
    // Tests wait more than they compute, so two cores have work for three workers; the servers do not for many.
    maxWorkers: Math.min(availableParallelism() + 1, 6),
    // Hundreds of processes are started, each of which would compile the project again.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, '.local/compile-cache') },
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], expect, testTimeout: 120_000 } },
      { test: { name: 'integration', include: ['test/integration/**/*.test.ts'], ...onServers } },
      { test: { name: 'e2e', include: ['test/e2e/**/*.test.ts'], ...onServers } },
      { test: { name: 'faults', include: ['test/faults/**/*.test.ts'], ...onServers } },
      // What takes minutes; npm test leaves it out, npm run test:slow runs it.
      {
        test: {
          name: 'slow',
          include: ['test/slow/**/*.test.ts'],
          fileParallelism: false,
          ...onServers,
          testTimeout: 1_200_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
