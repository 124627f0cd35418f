import type { ServerUnaryCall } from '@grpc/grpc-js';
import type { Caller } from '../caller.ts';
import { unauthenticated, unknownCaller } from '../denials.ts';
import type { CallersFile } from './callers-file.ts';
import { connectionOf } from './connection.ts';

type CertificateCall = Pick<ServerUnaryCall<unknown, unknown>, 'getAuthContext'>;

interface ClientCertificate {
  /** The first that is a caller's counts. */
  readonly names: readonly string[];
  readonly expiresAtMs: number;
}

/** Tells who calls by the client certificate of the connection, which mutual TLS has verified. */
export class CertificateIdentity {
  readonly #callers: CallersFile;
  /** Reading a certificate costs half as much as a payment, and a connection's never changes. */
  readonly #certificates = new WeakMap<object, ClientCertificate>();

  constructor(callers: CallersFile) {
    this.#callers = callers;
  }

  /** Throws ServiceError UNAUTHENTICATED, or PERMISSION_DENIED if no name of the certificate is a caller's. */
  identify(call: CertificateCall): Caller {
    const { names, expiresAtMs } = this.#certificateOf(call);
    // It was valid when the connection was made, which may be long ago.
    if (expiresAtMs <= Date.now()) {
      throw unauthenticated('CERTIFICATE_EXPIRED', 'The client certificate of the connection has expired.');
    }
    for (const name of names) {
      const caller = this.#callers.current.get(name);
      if (caller !== undefined) return caller;
    }
    throw unknownCaller(names[0] ?? 'without a name');
  }

  #certificateOf(call: CertificateCall): ClientCertificate {
    const connection = connectionOf(call);
    const known = connection && this.#certificates.get(connection);
    if (known !== undefined) return known;
    // Undefined as well if the certificate is not to be trusted, see TLS_CLIENT_CERT.
    const certificate = call.getAuthContext().sslPeerCertificate;
    if (certificate === undefined) {
      throw unauthenticated('CERTIFICATE_MISSING', 'The connection has no trusted client certificate.');
    }
    const read = {
      names: alternativeNames(certificate.subjectaltname ?? ''),
      expiresAtMs: Date.parse(certificate.valid_to),
    };
    if (connection !== undefined) this.#certificates.set(connection, read);
    return read;
  }
}

const NAME = /(URI|DNS):([^",]+)(?:, |$)|[^:]+:(?:"(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/gy;

/**
 * The URIs and then the DNS names of a certificate, as Node writes them: comma-separated,
 * those with a comma or quote in them quoted. Quoted ones are left out: nobody
 * names a caller so, and a certificate could feign a second name with them.
 */
export function alternativeNames(text: string): string[] {
  const names = [...text.matchAll(NAME)];
  const ofType = (type: string) => names.filter(([, found]) => found === type).map(([, , name]) => name!);
  return [...ofType('URI'), ...ofType('DNS')];
}
