// Runs a script of this project on its own Node, after installing what it needs:
// `node tools/launch.mjs SCRIPT args...`. Plain JavaScript without dependencies,
// for it runs before there are any, on whatever Node the machine has.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const BIN = join(ROOT, 'node_modules/.bin');
const NODE = join(BIN, 'node');
const STAMP = join(ROOT, 'node_modules/.installed');

/** Installs dependencies unless those of this very lock file are there. */
function install() {
  const lock = createHash('sha256')
    .update(readFileSync(join(ROOT, 'package-lock.json')))
    .digest('hex');
  if (existsSync(NODE) && existsSync(STAMP) && readFileSync(STAMP, 'utf8') === lock) return;
  console.error('installing dependencies (first run, or package-lock.json has changed)');
  // npm takes a moment's ^C itself, and leaves node_modules for the next run to complete.
  const { status, signal } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: ROOT,
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0 || !existsSync(NODE)) {
    console.error(
      signal === null
        ? 'The dependencies could not be installed. If npm says above that it cannot reach its registry, check the ' +
            'network or the proxy settings of npm (npm config list), then run the command again.'
        : `interrupted (${signal})`,
    );
    process.exit(1);
  }
  writeFileSync(STAMP, lock);
}

install();
const [script, ...args] = process.argv.slice(2);
// kafkajs makes Node 24 warn of a negative timer, which does no harm.
const quiet = '--disable-warning=TimeoutNegativeWarning';
const child = spawn(NODE, [join(ROOT, script), ...args], {
  cwd: ROOT,
  stdio: 'inherit',
  env: {
    ...process.env,
    PATH: `${BIN}${delimiter}${process.env.PATH}`,
    NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} ${quiet}`.trim(),
  },
});
// A terminal sends ^C to the child as well as to us, and npm sends its own: the child
// must hear of a signal whichever way it came, and takes repeats for one.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
// Killed outright, npm or its shell leaves us without a parent: nobody waits for us any more.
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) child.kill('SIGTERM');
}, 500).unref();
child.on('exit', (code, signal) => process.exit(signal === null ? code : 1));
