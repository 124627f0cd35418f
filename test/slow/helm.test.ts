import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { findHelmTools, findKeda, type HelmTools, KUBERNETES } from '../support/kubernetes.ts';

const CHART = join(import.meta.dirname, '../../deploy/helm/payment-ledger');
const KINDS = [
  'deployment-apps-v1',
  'horizontalpodautoscaler-autoscaling-v2',
  'job-batch-v1',
  'networkpolicy-networking-v1',
  'poddisruptionbudget-policy-v1',
  'service-v1',
];

// biome-ignore lint/suspicious/noExplicitAny: manifests are looked into at many depths.
type Manifest = any;

const tools = await findHelmTools(KINDS);
if (typeof tools === 'string') console.error(`skipped: the chart: ${tools}`);
const keda = await findKeda();
if (typeof keda === 'string') console.error(`skipped: KEDA's objects of the chart: ${keda}`);

const { helm, kubeconform } = tools as HelmTools;

const template = (...args: string[]) =>
  helm('template', 'pl', CHART, '--namespace', 'payments', '--kube-version', KUBERNETES, ...args);
const values = (size: string) => ['--values', join(CHART, `values-${size}.yaml`)];

async function manifests(...args: string[]): Promise<readonly Manifest[]> {
  return parseAllDocuments(await template(...args))
    .map((document) => document.toJS() as Manifest)
    .filter((manifest) => manifest !== null);
}

const named = (all: readonly Manifest[], kind: string, process: string): Manifest =>
  all.find((each) => each.kind === kind && each.metadata.name === `pl-payment-ledger-${process}`);

describe.skipIf(typeof tools === 'string')('the Helm chart', () => {
  describe.each(['small', 'large'])('for a %s system', (size) => {
    test('passes helm lint', async () => {
      await helm('lint', '--strict', CHART, '--kube-version', KUBERNETES, ...values(size));
    });

    test('makes what Kubernetes takes', async () => {
      const found = await kubeconform(await template(...values(size)));
      expect(found.filter(({ status }) => status === 'statusInvalid' || status === 'statusError')).toEqual([]);
      const unknown = found.filter(({ status }) => status === 'statusSkipped').map(({ kind }) => kind);
      expect(unknown.toSorted()).toEqual(size === 'large' ? ['ScaledObject', 'TriggerAuthentication'] : []);
      expect(found.filter(({ status }) => status === 'statusValid')).toHaveLength(10);
    });

    test('gives every container no rights, and its secrets as files', async () => {
      const pods = (await manifests(...values(size)))
        .filter(({ kind }) => kind === 'Deployment' || kind === 'Job')
        .map(({ spec }) => spec.template.spec);
      expect(pods).toHaveLength(3);
      for (const { securityContext, automountServiceAccountToken, containers, volumes } of pods) {
        expect(securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1_000 });
        expect(automountServiceAccountToken).toBe(false);
        const [container] = containers;
        expect(container.securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
        const { value } = container.env.find(({ name }: Manifest) => name === 'DATABASE_URL_FILE');
        expect(container.env.find(({ name }: Manifest) => name === 'DATABASE_URL')).toBeUndefined();
        const [{ mountPath }] = container.volumeMounts;
        const paths = volumes[0].projected.sources.map(({ secret }: Manifest) => secret.items[0].path);
        expect(paths.map((path: string) => `${mountPath}/${path}`)).toContain(value);
        expect(paths.includes('postgres-ca.crt')).toBe(size === 'large');
      }
    });

    test('kills no process before its shutdown can be over', async () => {
      const all = await manifests(...values(size));
      const of = (process: string) => {
        const { terminationGracePeriodSeconds, containers } = named(all, 'Deployment', process).spec.template.spec;
        const [{ env, lifecycle }] = containers;
        const ms = (name: string) => Number(env.find((each: Manifest) => each.name === name)?.value ?? 0);
        return {
          given: terminationGracePeriodSeconds,
          preStop: Number(lifecycle?.preStop.exec.command[1] ?? 0),
          drain: ms('SHUTDOWN_DRAIN_MS') / 1_000,
          grace: ms('SHUTDOWN_GRACE_MS') / 1_000,
        };
      };
      const api = of('api');
      expect(api.given).toBeGreaterThan(api.preStop + api.drain + api.grace);
      const relay = of('relay');
      expect(relay.given).toBeGreaterThan(2 * relay.grace);
    });

    test('lets each process reach what it needs and nothing else', async () => {
      const all = await manifests(...values(size));
      const ports = (process: string) =>
        named(all, 'NetworkPolicy', process)
          .spec.egress.flatMap((rule: Manifest) => rule.ports.map(({ port }: Manifest) => port))
          .filter((port: number) => port !== 443);
      expect(ports('api')).toEqual([53, 53, 5432, 6379]);
      expect(ports('relay')).toEqual([53, 53, 5432, 6379, 9092, 9093]);
      expect(ports('migrate')).toEqual([53, 53, 5432]);
      expect(named(all, 'NetworkPolicy', 'migrate').spec.ingress).toEqual([]);
      expect(named(all, 'Job', 'migrate').metadata.annotations).toMatchObject({
        'helm.sh/hook': 'pre-install,pre-upgrade',
      });
    });
  });

  test('asks for readiness by gRPC where the port is in clear, and by HTTP where it is TLS', async () => {
    const probes = async (size: string) =>
      named(await manifests(...values(size)), 'Deployment', 'api').spec.template.spec.containers[0];
    const [clear, encrypted] = [await probes('small'), await probes('large')];
    expect(clear.readinessProbe.grpc).toEqual({ port: 50_051 });
    expect(encrypted.readinessProbe.httpGet).toEqual({ path: '/readyz', port: 'metrics' });
    // A database that is away is no reason to restart.
    for (const { livenessProbe } of [clear, encrypted]) expect(livenessProbe.httpGet.path).toBe('/healthz');
  });

  test('never runs more relays than there are shards', async () => {
    const shards = ['--set', 'relay.shards=4'];
    const scaled = named(await manifests(...values('large'), ...shards), 'ScaledObject', 'relay');
    expect(scaled.spec).toMatchObject({ minReplicaCount: 3, maxReplicaCount: 4 });
    const fixed = await manifests(...values('small'), ...shards, '--set', 'relay.replicas=9');
    expect(named(fixed, 'Deployment', 'relay').spec.replicas).toBe(4);
  });

  test.skipIf(typeof keda === 'string')('makes what KEDA takes', async () => {
    const objects = (await manifests(...values('large'))).filter(({ apiVersion }) => apiVersion === 'keda.sh/v1alpha1');
    expect(objects.map(({ kind }) => kind)).toEqual(['ScaledObject', 'TriggerAuthentication']);
    for (const object of objects) (keda as Exclude<typeof keda, string>)(object.kind, object);
    const { spec, ...rest } = objects[0];
    const check = () =>
      (keda as Exclude<typeof keda, string>)('ScaledObject', { ...rest, spec: { ...spec, triggers: 1 } });
    expect(check).toThrow();
  });

  test.each([
    ['values that nobody reads', ['--set', 'relay.shard=3'], "additional properties 'shard' not allowed"],
    ['a value of the wrong kind', ['--set', 'api.shutdown.graceSeconds=soon'], '/api/shutdown/graceSeconds'],
    [
      'a variable twice',
      ['--set', 'api.config.DATABASE_URL=x'],
      'DATABASE_URL of api is given by config and by secrets',
    ],
    ['a port that is open to everybody', ['--set', 'api.allowInsecureListen=false'], 'The API would not start'],
    ['KEDA without its Secret', ['--set', 'relay.autoscaling.enabled=true'], 'connectionSecret.name is missing'],
  ])('refuses %s, and says what is wrong', async (_what, args, message) => {
    await expect(template(...values('small'), ...args)).rejects.toThrow(message);
  });
});
