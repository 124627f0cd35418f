const EVERY_MS = 5_000;
/** A rate of the first moments says little. */
const RATE_AFTER_MS = 1_000;

export interface ProgressState {
  /** What is counted, such as rows. */
  readonly what: string;
  readonly done: number;
  /** About how many there are. */
  readonly total: number;
  readonly elapsedMs: number;
}

/** Such as: rows 1200000 of about 5100000 (23 %), 11100/s, 6 min left. */
export function progressLine({ what, done, total, elapsedMs }: ProgressState): string {
  // An estimate that has turned out too low says nothing of what is left.
  const share = done < total ? ` of about ${total} (${Math.floor((100 * done) / total)} %)` : '';
  const perSecond = elapsedMs < RATE_AFTER_MS ? 0 : (done * 1_000) / elapsedMs;
  const rate = perSecond === 0 ? '' : `, ${Math.round(perSecond)}/s`;
  const left = share === '' || perSecond === 0 ? '' : `, ${duration((total - done) / perSecond)} left`;
  return `${what} ${done}${share}${rate}${left}`;
}

function duration(seconds: number): string {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3_600) return `${Math.round(seconds / 60)} min`;
  return `${Math.floor(seconds / 3_600)} h ${Math.round((seconds % 3_600) / 60)} min`;
}

/** Tells on stderr how far something has come, every few seconds. Returns what is to be told of each step. */
export function showProgress(what: string, total: number): (done: number) => void {
  const startedAtMs = performance.now();
  let shownAtMs = startedAtMs;
  return (done) => {
    const nowMs = performance.now();
    if (nowMs - shownAtMs < EVERY_MS) return;
    shownAtMs = nowMs;
    console.error(progressLine({ what, done, total, elapsedMs: nowMs - startedAtMs }));
  };
}
