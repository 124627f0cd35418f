import type { Command } from 'commander';
import { timeOfUlid, ulidToUuid } from '../../app/ulid.ts';
import { ExitCode } from '../exit-codes.ts';
import { withUsage } from '../help.ts';
import { fields, json } from '../output.ts';
import { parseId } from '../settings.ts';

const ABOUT = `Shows an id in both of its forms: the ULID that callers and consumers see, and the uuid in Postgres.

The time in it is when the payment's call came in, by the clock of its replica. Nothing is looked up.`;

export function addId(program: Command, end: (exitCode: ExitCode) => void): void {
  const command = program.command('id').summary('show an id as ULID and as uuid').description(ABOUT);
  command
    .argument('<id>', "ULID or uuid of a payment, which is its event's id too", parseId)
    .option('--json', 'for programs');
  withUsage(command, {
    examples: ['ledger id 01M85Q3TTE820EZ9PCVSPH2JRN', 'ledger id 01a20b71-eb4e-4080-efa6-ccde6d114b15'],
    exitCodes: { 0: 'done' },
  }).action((ulid: string, options: { json?: boolean }) => {
    const id = { ulid, uuid: ulidToUuid(ulid), time: new Date(timeOfUlid(ulid)).toISOString() };
    console.log(options.json ? json(id) : fields(id));
    end(ExitCode.DONE);
  });
}
