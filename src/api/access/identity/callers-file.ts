import { z } from 'zod';
import { EVERY_ACCOUNT, onlyAccounts } from '../accounts.ts';
import { type Caller, isCallerName, SCOPES } from '../caller.ts';
import { WatchedFiles, type WatchOptions } from '../watched-files.ts';

const callers = z.array(
  z.strictObject({
    caller: z.string().refine(isCallerName, { error: 'must have 1 to 255 characters' }),
    scopes: z.array(z.enum(SCOPES)),
    /** Ids, and beginnings of ids that end in *; left out, all. */
    accounts: z.array(z.string().min(1)).optional(),
  }),
);

/** Who the callers are that show certificates, by the name in them. */
export type CallersFile = Pick<WatchedFiles<ReadonlyMap<string, Caller>>, 'current'>;

/** Reads AUTH_CALLERS_FILE, again when it changes. Throws AccessFileError. */
export function openCallersFile(path: string, options: WatchOptions): Promise<CallersFile> {
  return WatchedFiles.open({ AUTH_CALLERS_FILE: path }, ([text]) => parseCallers(text!.toString()), options);
}

function parseCallers(text: string): ReadonlyMap<string, Caller> {
  const result = callers.safeParse(JSON.parse(text));
  if (!result.success) throw new Error(z.prettifyError(result.error).replaceAll('\n', ' '));
  const byName = new Map<string, Caller>();
  for (const { caller, scopes, accounts } of result.data) {
    if (byName.has(caller)) throw new Error(`the caller ${caller} is there twice`);
    byName.set(caller, {
      name: caller,
      scopes: new Set(scopes),
      accounts: accounts === undefined ? EVERY_ACCOUNT : onlyAccounts(accounts),
    });
  }
  return byName;
}
