import type { Command } from 'commander';
import type { ExitCode } from '../exit-codes.ts';
import { withUsage } from '../help.ts';
import { addExport } from './events-export.ts';
import { addTail } from './events-tail.ts';

export function addEvents(program: Command, end: (exitCode: ExitCode) => void): void {
  const group = program.command('events').summary('show events on Kafka, or write a snapshot of all');
  group.description('Shows events on Kafka, or writes a snapshot of all events to begin from.');
  withUsage(group, {
    examples: ['ledger events tail', 'ledger events export --output events.ndjson'],
    exitCodes: { 0: 'done', 1: 'the command failed' },
  });
  addTail(group, end);
  addExport(group, end);
}
