import { lowestUlid, ulidToUuid } from '../../../app/ulid.ts';

/**
 * How far apart the time in a payment's id and the time when it was decided can be: an id
 * is made when the call comes in, by the clock of the replica. Where they are further
 * apart, clocks are so wrong that audits say so.
 */
const SLACK_MS = 5 * 60_000;

/** The uuids that payments decided in that time can have; most of them were. Undefined is no limit. */
export function idsInTime(
  createdFrom: Date | undefined,
  createdBefore: Date | undefined,
): { readonly lowest: string; readonly above: string | undefined } {
  const idAt = (timeMs: number) => ulidToUuid(lowestUlid(timeMs));
  return {
    lowest: idAt(createdFrom === undefined ? 0 : createdFrom.getTime() - SLACK_MS),
    above: createdBefore && idAt(createdBefore.getTime() + SLACK_MS),
  };
}
