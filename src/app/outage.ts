export interface OutageReport {
  began(error: unknown): void;
  ended(outageMs: number): void;
}

/**
 * Tells once that something fails and once that it works again, however many calls
 * notice. It works again when a success comes so long after the last failure: else a
 * server that fails every other call would be reported with each.
 */
export class Outage {
  readonly #report: OutageReport;
  readonly #quietMs: number;
  #beganAtMs: number | undefined;
  #failedAtMs = 0;

  constructor(report: OutageReport, quietMs = 1_000) {
    this.#report = report;
    this.#quietMs = quietMs;
  }

  failed(error: unknown, nowMs = performance.now()): void {
    this.#failedAtMs = nowMs;
    if (this.#beganAtMs !== undefined) return;
    this.#beganAtMs = nowMs;
    this.#report.began(error);
  }

  succeeded(nowMs = performance.now()): void {
    if (this.#beganAtMs === undefined || nowMs - this.#failedAtMs < this.#quietMs) return;
    this.#report.ended(nowMs - this.#beganAtMs);
    this.#beganAtMs = undefined;
  }
}
