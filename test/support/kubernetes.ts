import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { cached, cacheFolder, which } from '../../tools/stack/cache.ts';

const run = promisify(execFile);

/** The Kubernetes whose rules count. */
export const KUBERNETES = '1.31.0';

// Later ones of helm need a later Go than many machines have.
const HELM = 'helm.sh/helm/v3/cmd/helm@v3.18.6';
const KUBECONFORM = 'github.com/yannh/kubeconform/cmd/kubeconform@v0.7.0';
const SCHEMAS = 'kubernetes-validate==1.37.0';
const KEDA = '@kubernetes-models/keda@2.0.0';

/** A program from the path, or built by Go into the cache. A text says why there is none. */
async function program(name: string, module: string): Promise<string | { path: string }> {
  const installed = which(name);
  if (installed !== undefined) return { path: installed };
  const folder = `${name}-${module.split('@v')[1]}`;
  const path = join(cacheFolder(process.env), folder, name);
  if (which('go') === undefined) return `${name} is not on the path, and there is no Go to build it`;
  try {
    await cached(cacheFolder(process.env), folder, async (draft) => {
      const work = `${draft}-go`;
      const env = { ...process.env, GOBIN: draft, GOPATH: work, GOCACHE: join(work, 'build'), GOFLAGS: '-modcacherw' };
      try {
        await run('go', ['install', module], { env, maxBuffer: 2 ** 26 });
      } finally {
        await rm(work, { recursive: true, force: true });
      }
    });
    return { path };
  } catch (error) {
    return `${name} is not on the path, and Go could not build it: ${(error as Error).message}`;
  }
}

export interface HelmTools {
  helm(...args: string[]): Promise<string>;
  /** What kubeconform finds in the manifests, which are YAML. */
  kubeconform(manifests: string): Promise<readonly Finding[]>;
}

export interface Finding {
  readonly kind: string;
  readonly name: string;
  readonly status: 'statusValid' | 'statusInvalid' | 'statusError' | 'statusSkipped';
  readonly msg: string;
}

/** Helm, kubeconform and the schemas of Kubernetes. A text says what is missing. */
export async function findHelmTools(kinds: readonly string[]): Promise<HelmTools | string> {
  const helm = await program('helm', HELM);
  if (typeof helm === 'string') return helm;
  const kubeconform = await program('kubeconform', KUBECONFORM);
  if (typeof kubeconform === 'string') return kubeconform;
  const schemas = await kubernetesSchemas(kinds);
  if (typeof schemas === 'string') return schemas;
  const location = join(schemas.folder, '{{.ResourceKind}}{{.KindSuffix}}.json');
  return {
    helm: async (...args) => (await run(helm.path, args, { maxBuffer: 2 ** 26 })).stdout,
    async kubeconform(manifests) {
      const args = ['-strict', '-ignore-missing-schemas', '-verbose', '-output', 'json', '-schema-location', location];
      const running = run(kubeconform.path, args, { maxBuffer: 2 ** 26 });
      running.child.stdin?.end(manifests);
      // It ends with 1 if it finds fault, and says so on standard output all the same.
      const { stdout } = await running.catch((error: { stdout: string }) => error);
      return JSON.parse(stdout).resources;
    },
  };
}

/** The schemas of these kinds, from a package of PyPI that carries them. */
async function kubernetesSchemas(kinds: readonly string[]): Promise<{ folder: string } | string> {
  if (which('python3') === undefined) return 'there is no Python to fetch the schemas of Kubernetes with';
  try {
    const folder = await cached(cacheFolder(process.env), `kubernetes-${KUBERNETES}`, async (draft) => {
      const wheel = `${draft}-wheel`;
      try {
        await run('python3', ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', wheel, SCHEMAS]);
        const from = join(wheel, `kubernetes_validate/kubernetes-json-schema/v${KUBERNETES}-local-strict`);
        const read = async (name: string) => JSON.parse(withLocalReferences(await readFile(join(from, name), 'utf8')));
        const { $defs: definitions } = await read('_definitions.json');
        for (const kind of kinds) {
          await writeFile(
            join(draft, `${kind}.json`),
            JSON.stringify({ ...(await read(`${kind}.json`)), definitions }),
          );
        }
      } finally {
        await rm(wheel, { recursive: true, force: true });
      }
    });
    return { folder };
  } catch (error) {
    return `the schemas of Kubernetes could not be fetched: ${(error as Error).message}`;
  }
}

/** The package's schemas refer to a server of its own. */
function withLocalReferences(schema: string): string {
  return schema.replaceAll(/"\$ref": "[^"#]*#\/\$defs\//g, '"$ref": "#/definitions/');
}

/** A check of an object of KEDA by its kind: throws with what is wrong. */
export type KedaCheck = (kind: 'ScaledObject' | 'TriggerAuthentication', object: object) => void;

type KedaModels = Readonly<Record<Parameters<KedaCheck>[0], new (object: object) => { validate(): void }>>;

/** KEDA's definitions, from the npm package that carries them. A text says why there are none. */
export async function findKeda(): Promise<KedaCheck | string> {
  try {
    const folder = await cached(cacheFolder(process.env), 'kubernetes-models-keda-2.0.0', async (draft) => {
      await mkdir(draft, { recursive: true });
      await writeFile(join(draft, 'package.json'), '{"private": true}');
      await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', KEDA], { cwd: draft });
    });
    const file = join(folder, 'node_modules/@kubernetes-models/keda/keda.sh/v1alpha1/index.js');
    const models: KedaModels = await import(pathToFileURL(file).href);
    return (kind, object) => new models[kind](object).validate();
  } catch (error) {
    return `the definitions of KEDA could not be fetched: ${(error as Error).message}`;
  }
}
