import { createHash } from 'node:crypto';
import { invalidField } from '../app/errors.ts';

// A token is where the next page begins, behind a digest of that and of the list with its
// filters: so it cannot be taken for another list's, nor go on with other filters.

const DIGEST_BYTES = 12;

/** list names the RPC; filters are those of its fields that decide what is in the list. */
export interface ListedBy {
  readonly list: string;
  readonly filters: readonly (string | number | bigint | readonly number[])[];
}

/** Empty at the end of the list. */
export function pageToken(listedBy: ListedBy, next: string | undefined): string {
  if (next === undefined) return '';
  return Buffer.concat([digest(listedBy, next), Buffer.from(next)]).toString('base64url');
}

/**
 * Where the page begins; undefined is at the beginning. Throws ServiceError
 * INVALID_REQUEST if the token was made for another list or other filters, or by hand:
 * parse returns undefined for what can be no beginning of a page.
 */
export function readPageToken<Cursor>(
  token: string,
  listedBy: ListedBy,
  parse: (text: string) => Cursor | undefined,
): Cursor | undefined {
  if (token === '') return undefined;
  const bytes = Buffer.from(token, 'base64url');
  const text = bytes.toString('utf8', DIGEST_BYTES);
  const intact = bytes.subarray(0, DIGEST_BYTES).equals(digest(listedBy, text));
  const cursor = intact ? parse(text) : undefined;
  if (cursor !== undefined) return cursor;
  throw invalidField('page_token', 'must come from the page before, with the same filters');
}

function digest({ list, filters }: ListedBy, next: string): Buffer {
  const canonical = JSON.stringify([list, ...filters.map((filter) => filter.toString()), next]);
  return createHash('sha256').update(canonical).digest().subarray(0, DIGEST_BYTES);
}
