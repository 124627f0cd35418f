/** Rejects if the promise has no result after that many milliseconds. The work behind it goes on. */
export async function withinLimit<T>(promise: Promise<T>, limitMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    // When our own event loop was busy, an answer may have arrived and not been read:
    // sockets are read between timers and setImmediate, so it gets that one chance.
    const giveUp = () => setImmediate(() => reject(new Error(`No answer within ${limitMs} ms`)));
    timer = setTimeout(giveUp, limitMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
