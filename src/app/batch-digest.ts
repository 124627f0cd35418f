import { createHash } from 'node:crypto';
import { type ActionRequest, canonicalBatch } from './domain/identity.ts';

/** Of the canonical text: whoever changes that writes the next one, and makes the old text for digests that begin with 01. */
const VERSION = '01';

/** What tells one batch from another that comes with its key: hexadecimal. */
export function batchDigest(items: readonly ActionRequest[]): string {
  return VERSION + createHash('sha256').update(canonicalBatch(items)).digest('hex');
}
