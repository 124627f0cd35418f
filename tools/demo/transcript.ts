import { AssertionError, partialDeepStrictEqual } from 'node:assert/strict';
import { type ServiceError, status } from '@grpc/grpc-js';

/** A message's type, as ts-proto generates it. */
interface Type<T> {
  fromPartial(fields: object): T;
  toJSON(message: T): unknown;
}

/** The protobuf-JSON form of a message, in which enums have names and defaults are left out. */
const show = <T>(type: Type<T>, fields: object) => JSON.stringify(type.toJSON(type.fromPartial(fields)));

/** What the demo prints of its calls, and how many answers were not as the contract says. */
export class Transcript {
  differences = 0;

  /** Prints a call and its answer, and counts a difference if the answer lacks what is expected. */
  async step<Request, Response extends object>(
    title: string,
    [requestType, responseType]: [Type<Request>, Type<Response>],
    request: object,
    call: Promise<Response>,
    expected: object,
  ): Promise<Response | undefined> {
    console.log(`\n${title}\n  > ${show(requestType, request)}`);
    const [answer, error] = await call.then(
      (response) => [response] as const,
      ({ code, details }: ServiceError) => [undefined, { code: status[code], details }] as const,
    );
    console.log(`  < ${answer === undefined ? `${error?.code}: ${error?.details}` : show(responseType, answer)}`);
    try {
      partialDeepStrictEqual(answer ?? error, expected);
    } catch (difference) {
      if (!(difference instanceof AssertionError)) throw difference;
      this.differences += 1;
      console.log(`  DIFFERS from the contract:\n${difference.message}`);
    }
    return answer;
  }
}
