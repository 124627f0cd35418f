// Keeps one server no longer than its owner: `node guard.mjs SIGNAL command args...`
//
// A guard stands in a process group of its own, so Ctrl-C at a terminal does not
// reach the server before its owner has finished with it. It stops the server when
// it is told to (SIGTERM), and when its standard input ends: that is the owner
// gone, even by SIGKILL.
import { spawn } from 'node:child_process';

const KILL_AFTER_MS = 15_000;

const [stopSignal, command, ...args] = process.argv.slice(2);
// Whom to run it as, if not as ourselves.
const [uid, gid] = [process.env.GUARD_UID, process.env.GUARD_GID].map((id) => id && Number(id));
const server = spawn(command, args, {
  stdio: ['ignore', 'inherit', 'inherit'],
  detached: true,
  ...(uid && { uid, gid }),
});

let stopping = false;
function stop() {
  if (stopping) return;
  stopping = true;
  server.kill(stopSignal);
  setTimeout(() => server.kill('SIGKILL'), KILL_AFTER_MS).unref();
}

process.stdin.on('end', stop).on('error', stop).resume();
process.on('SIGTERM', stop);
process.on('SIGINT', () => undefined);
process.on('SIGHUP', () => undefined);

server.on('spawn', () => process.send?.(server.pid));
server.on('error', (error) => {
  console.error(`${command}: ${error.message}`);
  process.exit(127);
});
server.on('exit', (code) => process.exit(code ?? 1));
