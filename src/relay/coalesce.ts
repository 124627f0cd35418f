/**
 * Calls that are made while one is under way share the next: run gets all their
 * questions at once and answers them in the same order. A lone call starts at once.
 * If run throws, every call of that round does.
 */
export function coalesce<Question, Answer>(
  run: (questions: readonly Question[]) => Promise<readonly Answer[]>,
): (question: Question) => Promise<Answer> {
  let waiting: { question: Question; resolve: (answer: Answer) => void; reject: (error: unknown) => void }[] = [];
  let running = false;

  async function drain(): Promise<void> {
    running = true;
    // Calls made in the same turn of the event loop go into the first round together.
    await Promise.resolve();
    while (waiting.length > 0) {
      const round = waiting;
      waiting = [];
      try {
        const answers = await run(round.map(({ question }) => question));
        round.forEach(({ resolve }, index) => {
          resolve(answers[index]!);
        });
      } catch (error) {
        for (const { reject } of round) reject(error);
      }
    }
    running = false;
  }

  return (question) =>
    new Promise((resolve, reject) => {
      waiting.push({ question, resolve, reject });
      if (!running) void drain();
    });
}
