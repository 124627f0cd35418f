import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

// Servers are shared by a project's files; each file has a database and a topic of
// its own. Faults stop servers, so those files run one after the other.
const onServers = {
  globalSetup: ['test/support/global-setup.ts'],
  testTimeout: 60_000,
  hookTimeout: 120_000,
};

export default defineConfig({
  test: {
    // Tests wait more than they compute, so two cores have work for two workers.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      { test: { name: 'integration', include: ['test/integration/**/*.test.ts'], ...onServers } },
      { test: { name: 'e2e', include: ['test/{e2e,faults}/**/*.test.ts'], fileParallelism: false, ...onServers } },
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
