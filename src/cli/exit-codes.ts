/** How commands end; docs/cli.md is where people look them up. */
export const ExitCode = {
  DONE: 0,
  /** Something is wrong, or the command failed. */
  FAILED: 1,
  /** Arguments or settings. */
  USAGE: 2,
  /** There is no such account, payment, entry, dead letter or topic. */
  NOT_FOUND: 3,
  /** The payment, the action on one, or the batch was declined: no money has moved. */
  DECLINED: 4,
  /** No answer, or one that asks to try again later. */
  UNAVAILABLE: 5,
  /** The API does not know the caller, or the caller may not do this. */
  DENIED: 6,
  /** The idempotency key or the account id belongs to something else. */
  TAKEN: 7,
  /** The account is not changed, as its state or its etag forbids it. */
  REFUSED: 8,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** Ends a command with its message and an exit code. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode = ExitCode.FAILED, options?: { cause?: unknown }) {
    super(message, options);
    this.exitCode = exitCode;
  }
}
