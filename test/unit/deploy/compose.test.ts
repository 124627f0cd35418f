import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { compose, findCompose } from '../../support/compose.ts';

const ROOT = join(import.meta.dirname, '../../..');

interface Service {
  readonly profiles: readonly string[];
  readonly image: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, unknown>>;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly stop_grace_period?: string;
}

const { services } = parse(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8'), { merge: true }) as {
  services: Readonly<Record<string, Service>>;
};
const composeCommand = await findCompose();
if (typeof composeCommand === 'string') console.error(`skipped: docker-compose config: ${composeCommand}`);

describe('docker-compose.yml', () => {
  test('has each service in a profile, with all that it depends on', () => {
    for (const [name, { profiles, depends_on = {} }] of Object.entries(services)) {
      expect(profiles, name).not.toHaveLength(0);
      for (const other of Object.keys(depends_on)) {
        for (const profile of profiles) expect(services[other]?.profiles, `${other}, for ${name}`).toContain(profile);
      }
    }
  });

  test.each(['api', 'relay'])('lets the %s be scaled: no port of the machine is fixed', (name) => {
    const { ports = [], healthcheck } = services[name]!;
    expect(ports).toHaveLength(1);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1::\d+$/);
    const metricsPort = ports[0]!.split(':').at(-1);
    expect(healthcheck?.test).toEqual(['CMD', 'healthy', metricsPort]);
  });

  test('publishes ports on loopback only', () => {
    for (const { ports = [] } of Object.values(services)) {
      for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
    }
  });

  test.each(['migrate', 'api', 'relay'])('runs %s without rights, and as a role that is no superuser', (name) => {
    const { read_only, cap_drop, security_opt, environment } = services[name]!;
    expect({ read_only, cap_drop, security_opt }).toEqual({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
    });
    const { username } = new URL(environment!['DATABASE_URL']!);
    expect(username).toBe(name === 'migrate' ? 'ledger_owner' : 'ledger_application');
    expect(environment!['REQUIRE_LEAST_PRIVILEGE']).toBe(name === 'migrate' ? undefined : '1');
  });

  test('stops no process before its drain and grace are over', () => {
    for (const name of ['api', 'relay']) {
      const { stop_grace_period, environment } = services[name]!;
      const { SHUTDOWN_DRAIN_MS = 0, SHUTDOWN_GRACE_MS } = environment!;
      expect(Number(stop_grace_period!.replace(/s$/, '')) * 1_000).toBeGreaterThan(
        Number(SHUTDOWN_DRAIN_MS) + Number(SHUTDOWN_GRACE_MS),
      );
    }
  });

  test.skipIf(typeof composeCommand === 'string')('is what Compose takes', { timeout: 120_000 }, async () => {
    const found = await compose(composeCommand as readonly string[], '--profile', 'app', 'config', '--services');
    expect(found.trim().split('\n')).toEqual(
      expect.arrayContaining(['postgres', 'migrate', 'api', 'gateway', 'relay']),
    );
    await compose(composeCommand as readonly string[], '--profile', 'observability', 'config', '--quiet');
  });
});

test('the Dockerfile stands on the Node that package.json names', () => {
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
  expect(dockerfile).toMatch(new RegExp(`^ARG NODE_IMAGE=docker.io/library/node:${devDependencies.node}-`, 'm'));
});
