// A load process: does one job after another that its parent sends, and ends with it.
import type { Job, Report } from './job.ts';
import { run } from './run.ts';

const report = (message: Report) => process.send?.(message);

process.on('message', (job: Job) => {
  run(job, report).catch((error: Error) => report({ kind: 'failed', message: error.message }));
});
process.on('disconnect', () => process.exit());
// Ctrl-C reaches every process of the terminal; the parent decides when we end.
process.on('SIGINT', () => undefined);
