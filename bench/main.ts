import { untilInterrupted } from '../tools/interrupt.ts';
import { drawCharts } from './charts/main.ts';
import { Environment } from './environment.ts';
import { type BenchName, HELP, type Options, parseOptions } from './options.ts';
import { circumstances, publish } from './report.ts';
import { abuseSuite } from './suites/abuse.ts';
import { authorizeSuite } from './suites/authorize.ts';
import { growthSuite } from './suites/growth.ts';
import { lifecycleSuite } from './suites/lifecycle.ts';
import { profileSuite } from './suites/profile.ts';
import { readSuite } from './suites/read.ts';
import { relaySuite } from './suites/relay.ts';
import { securedSuite } from './suites/secured.ts';
import { soakSuite } from './suites/soak.ts';
import type { Suite } from './suites/suite.ts';

const SUITES: Readonly<Record<BenchName, Suite>> = {
  authorize: authorizeSuite,
  lifecycle: lifecycleSuite,
  read: readSuite,
  growth: growthSuite,
  soak: soakSuite,
  relay: relaySuite,
  abuse: abuseSuite,
  secured: securedSuite,
  profile: profileSuite,
};

/** Runs a benchmark on servers of its own, which are gone afterwards, however it ended. */
async function measure(name: BenchName, asked: Options, signal: AbortSignal): Promise<void> {
  const since = Date.now();
  const onProgress = (message: string) => {
    console.error(`${name} ${((Date.now() - since) / 1_000).toFixed(0).padStart(4)} s  ${message}`);
  };
  const suite = SUITES[name];
  const durationMs = asked.quick ? asked.durationMs : Math.max(asked.durationMs, suite.shortestTurnMs ?? 0);
  const options = { ...asked, durationMs };
  const environment = await Environment.start({ kafka: suite.kafka, onProgress });
  try {
    signal.throwIfAborted();
    const findings = await suite.run({ environment, options, onProgress, signal });
    await publish(name, findings, circumstances(environment.settings, options), options.quick);
  } finally {
    await environment.stop();
  }
}

async function measureAll(options: Options, signal: AbortSignal): Promise<void> {
  for (const name of options.benches) {
    signal.throwIfAborted();
    await measure(name, options, signal);
  }
  if (options.charts) await drawCharts((message) => console.error(message));
}

function options(): Options {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
}

const chosen = options();
if (chosen.help) console.log(HELP);
else {
  await untilInterrupted(async (signal, finish) => {
    const all = measureAll(chosen, signal).then(() => finish(null), finish);
    return () => all;
  });
}
