import type { Command } from 'commander';
import { loadMigrateConfig } from '../../config.ts';
import { DEFAULT_ROLES } from '../../infra/postgres/roles.ts';
import { MIGRATIONS } from '../../infra/postgres/schema-version.ts';
import { ExitCode } from '../exit-codes.ts';
import { withUsage } from '../help.ts';
import { migrate } from '../migrate.ts';
import { settingsFor } from '../settings.ts';

const ABOUT = `Brings the database's schema up to date and gives the application's and the reader's role their rights.

Safe from several replicas at once. An applied migration that was edited, renamed or removed is an error.`;

export function addMigrate(program: Command, end: (exitCode: ExitCode) => void): void {
  const command = program.command('migrate').summary('bring the schema up to date').description(ABOUT);
  withUsage(command, {
    examples: ['DATABASE_URL=postgres://ledger:ledger@127.0.0.1:5432/payment_ledger ledger migrate'],
    environment: {
      DATABASE_URL: 'the database, as the owner of its tables',
      LEDGER_APPLICATION_ROLE: `what the application's role is called; ${DEFAULT_ROLES.application} if it is not set`,
      LEDGER_READER_ROLE: `what the reader's role is called; ${DEFAULT_ROLES.reader} if it is not set`,
    },
    exitCodes: { 0: 'the schema is up to date', 1: 'the command failed' },
  }).action(async () => {
    const config = settingsFor(command, loadMigrateConfig);
    const applied = await migrate(config.DATABASE_URL, console.log, MIGRATIONS, {
      application: config.LEDGER_APPLICATION_ROLE ?? DEFAULT_ROLES.application,
      reader: config.LEDGER_READER_ROLE ?? DEFAULT_ROLES.reader,
    });
    console.log(applied.length === 0 ? 'The schema is up to date.' : `Applied ${applied.length} migrations.`);
    end(ExitCode.DONE);
  });
}
