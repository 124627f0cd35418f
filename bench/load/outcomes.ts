// What replies say, read off their first fields: decoding them whole would cost the load
// generator several times as much.

const STATUS = ['UNSPECIFIED', 'AUTHORIZED', 'DECLINED', 'DUPLICATE'];

/** The field status = 2 of AuthorizePaymentResponse, behind payment_id = 1, which has 26 characters or is left out. */
export function paymentOutcome(reply: Uint8Array): string {
  const at = reply[0] === 0x0a ? 2 + reply[1]! : 0;
  return STATUS[reply[at] === 0x10 ? reply[at + 1]! : 0] ?? 'UNSPECIFIED';
}

/**
 * Of HoldPaymentResponse and its like. action = 1 comes first, and in it action_id = 1,
 * which is left out if nothing was stored, payment_id = 2, type = 3 and, if it was declined, error = 4.
 */
export function actionOutcome(reply: Uint8Array): string {
  let at = reply[0] === 0x0a ? lengthEnd(reply, 1) : reply.length;
  if (reply[at] !== 0x0a) return 'NOT_STORED';
  at = textEnd(reply, at);
  if (reply[at] === 0x12) at = textEnd(reply, at);
  if (reply[at] === 0x18) at += 2;
  return reply[at] === 0x22 ? 'DECLINED' : 'TAKEN';
}

/** Of ExecutePaymentBatchResponse: batch_id = 1, left out if nothing was stored, and if it was declined, error = 2. */
export function batchOutcome(reply: Uint8Array): string {
  if (reply[0] !== 0x0a) return 'NOT_STORED';
  return reply[textEnd(reply, 0)] === 0x12 ? 'DECLINED' : 'TAKEN';
}

/** How many entries = 1 there are in a ListAccountEntriesResponse. */
export function entriesOutcome(reply: Uint8Array): string {
  let count = 0;
  for (let at = 0; reply[at] === 0x0a; count++) {
    const body = lengthEnd(reply, at + 1);
    at = body + lengthOf(reply, at + 1);
  }
  return `${count} entries`;
}

/** Behind a field of less than 128 bytes. */
function textEnd(reply: Uint8Array, at: number): number {
  return at + 2 + reply[at + 1]!;
}

/** Behind a varint. */
function lengthEnd(reply: Uint8Array, at: number): number {
  while ((reply[at]! & 0x80) !== 0) at += 1;
  return at + 1;
}

function lengthOf(reply: Uint8Array, at: number): number {
  let length = 0;
  for (let shift = 0; ; shift += 7, at++) {
    length |= (reply[at]! & 0x7f) << shift;
    if ((reply[at]! & 0x80) === 0) return length;
  }
}
