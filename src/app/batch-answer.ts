import { type ActionCommand, accountsOf, isLater } from './commands.ts';
import type { Notes } from './domain/payment.ts';
import { invalidField } from './errors.ts';

/** Of an action and its payment in an answer, besides the accounts and what callers noted: ids, amounts and times. */
const ITEM_BYTES = 400;
/** Tags and lengths of an entry of metadata. */
const ENTRY_BYTES = 10;

/**
 * Throws ServiceError INVALID_REQUEST if the answer to a batch of the items could come to more than so many bytes. It
 * would fail to be sent after the batch was committed, and so would that of each replay.
 */
export function checkAnswer(items: readonly ActionCommand[], maxBytes: number): void {
  const bytes = items.reduce((sum, item) => sum + bytesOf(item), 0);
  if (bytes <= maxBytes) return;
  throw invalidField(
    'items',
    `would be answered by up to ${bytes} bytes, more than the ${maxBytes} that an answer may have`,
  );
}

function bytesOf(item: ActionCommand): number {
  const payment = isLater(item) ? item.payment : item;
  const [payer, payee] = accountsOf(item);
  return ITEM_BYTES + Buffer.byteLength(payer + payee) + bytesOfNotes(item) + bytesOfNotes(payment);
}

function bytesOfNotes({ description, reference = '', metadata = {} }: Notes): number {
  let bytes = Buffer.byteLength(description) + Buffer.byteLength(reference);
  for (const key in metadata) bytes += ENTRY_BYTES + Buffer.byteLength(key) + Buffer.byteLength(metadata[key]!);
  return bytes;
}
