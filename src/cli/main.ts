#!/usr/bin/env node
import { run } from './run.ts';

// A reader that has seen enough, such as head, closes the pipe.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});
// For people these say nothing: kafkajs uses a negative timer, gRPC an address as a TLS name; neither does harm.
const UNTOLD = ['TimeoutNegativeWarning', 'DeprecationWarning'];
process.removeAllListeners('warning');
process.on('warning', (warning) => {
  if (!UNTOLD.includes(warning.name)) console.error(`${warning.name}: ${warning.message}`);
});

process.exitCode = await run(process.argv.slice(2));
