import { loadCallerConfig } from '../../src/config/caller.ts';
import { loadTracing } from '../../src/config/tracing.ts';
import {
  loadApiConfig,
  loadCommandConfig,
  loadEventsConfig,
  loadMigrateConfig,
  loadRelayConfig,
} from '../../src/config.ts';

/** The variables that each process asks its environment for. */
export function variablesOf() {
  const tracing = askedFor((env) => loadTracing(env, 'test'), { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' });
  return {
    api: new Set([...askedFor(loadApiConfig), ...tracing]),
    relay: new Set([...askedFor(loadRelayConfig), ...tracing]),
    migrate: askedFor(loadMigrateConfig),
    commands: new Set([...askedFor(loadCommandConfig), ...askedFor(loadEventsConfig)]),
    caller: askedFor(loadCallerConfig),
  };
}

/** The names that load looks up, each of which may be given by a file too. */
function askedFor(load: (env: NodeJS.ProcessEnv) => unknown, given: NodeJS.ProcessEnv = {}): Set<string> {
  const names = new Set<string>();
  const env = new Proxy(given, {
    get(target, name) {
      names.add(String(name));
      return Reflect.get(target, name);
    },
  });
  try {
    load(env);
  } catch {
    // That much is missing is no matter: all names were looked up before it was found.
  }
  return new Set([...names].filter((name) => names.has(`${name}_FILE`)));
}
