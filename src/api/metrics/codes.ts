import { status } from '@grpc/grpc-js';

/** At each code's number its name, as dashboards know it from Go: DeadlineExceeded, and Canceled with one l. */
export const CODE_NAMES: readonly string[] = Object.entries(status)
  .filter((entry): entry is [string, status] => typeof entry[1] === 'number')
  .toSorted(([, one], [, other]) => one - other)
  .map(([name, code]) => {
    if (code === status.OK) return 'OK';
    if (code === status.CANCELLED) return 'Canceled';
    return name
      .split('_')
      .map((word) => word.charAt(0) + word.slice(1).toLowerCase())
      .join('');
  });
