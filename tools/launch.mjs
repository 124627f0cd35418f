// Runs a script of this project on its own Node, after installing what it needs:
// `node tools/launch.mjs SCRIPT args...`. Plain JavaScript without dependencies,
// for it runs before there are any, on whatever Node the machine has.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const BIN = join(ROOT, 'node_modules/.bin');
const NODE = join(BIN, 'node');
const STAMP = join(ROOT, 'node_modules/.installed');
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** What runs at the moment, npm or the script. */
let child;

// A terminal sends ^C to the child as well as to us, and npm sends its own: the child
// must hear of a signal whichever way it came, but from us only once.
const forwarded = new Set();
function forward(signal) {
  if (forwarded.has(signal)) return;
  forwarded.add(signal);
  child?.kill(signal);
}
for (const signal of SIGNALS) process.on(signal, () => forward(signal));
// Killed outright, npm or its shell leaves us without a parent: nobody waits for us any more.
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) forward('SIGTERM');
}, 500).unref();

/** Runs a program until it ends, in the project's folder. */
function run(command, args, options) {
  return new Promise((resolve) => {
    child = spawn(command, args, { cwd: ROOT, ...options });
    child.on('error', (error) => resolve({ error }));
    child.on('exit', (code, signal) => resolve({ code, signal }));
  });
}

/** Ends as the child did, so that whoever called us sees the same. Never returns. */
function end({ code, signal, error }) {
  if (error) console.error(error.message);
  if (!signal) process.exit(code ?? 1);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  return new Promise(() => setTimeout(process.exit, 1_000, 1));
}

/** Installs dependencies unless those of this very lock file are there. */
async function install() {
  const lock = createHash('sha256')
    .update(readFileSync(join(ROOT, 'package-lock.json')))
    .digest('hex');
  if (existsSync(NODE) && existsSync(STAMP) && readFileSync(STAMP, 'utf8') === lock) return;
  console.error('installing dependencies (first run, or package-lock.json has changed)');
  const npm = await run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { stdio: ['ignore', 2, 2] });
  // What npm left unfinished has no stamp: the next run begins again.
  const [interruption] = forwarded;
  if (interruption !== undefined) await end({ signal: interruption });
  if (npm.code !== 0) {
    console.error(
      'The dependencies could not be installed. If npm says above that it cannot reach its registry, check the ' +
        'network or the proxy settings of npm (npm config list), then run the command again.',
    );
    await end(npm);
  }
  if (!existsSync(NODE)) {
    console.error(
      'The dependencies are installed, except for Node itself, which comes with an install script. ' +
        'Let npm run it (npm config set ignore-scripts false), then run the command again.',
    );
    process.exit(1);
  }
  writeFileSync(STAMP, lock);
}

await install();
const [script, ...args] = process.argv.slice(2);
// kafkajs makes Node 24 warn of a negative timer, which does no harm.
const quiet = '--disable-warning=TimeoutNegativeWarning';
await end(
  await run(NODE, [join(ROOT, script), ...args], {
    stdio: 'inherit',
    env: {
      ...process.env,
      PATH: `${BIN}${delimiter}${process.env.PATH}`,
      NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} ${quiet}`.trim(),
    },
  }),
);
