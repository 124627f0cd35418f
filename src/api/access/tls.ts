import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { experimental, ServerCredentials } from '@grpc/grpc-js';
import { type Paths, WatchedFiles, type WatchOptions } from './watched-files.ts';

export interface TlsSettings {
  /** PEM: the server's certificate, then those between it and its authority. */
  readonly certificateFile: string;
  readonly keyFile: string;
  /** PEM: the authorities whose client certificates are trusted; none is asked for if undefined. */
  readonly clientCaFile: string | undefined;
  /** Whether a connection without a trusted client certificate is rejected at once. */
  readonly requireClientCertificate: boolean;
}

interface Certificates {
  readonly certificate: Buffer;
  readonly privateKey: Buffer;
  readonly clientCa: Buffer | undefined;
}

/**
 * How the server's port is encrypted; in clear without settings. Files that change are
 * in force for connections that are made afterwards. Throws AccessFileError.
 */
export async function serverCredentials(
  settings: TlsSettings | undefined,
  options: WatchOptions,
): Promise<ServerCredentials> {
  if (settings === undefined) return ServerCredentials.createInsecure();
  const { certificateFile, keyFile, clientCaFile, requireClientCertificate } = settings;
  const paths: Paths = {
    TLS_CERT_FILE: certificateFile,
    TLS_KEY_FILE: keyFile,
    ...(clientCaFile !== undefined && { TLS_CLIENT_CA_FILE: clientCaFile }),
  };
  const provider = new ReloadedCertificates(await WatchedFiles.open(paths, checked, options));
  return experimental.createCertificateProviderServerCredentials(
    provider,
    clientCaFile === undefined ? null : provider,
    requireClientCertificate,
  );
}

/** Throws what is wrong with the files: grpc-js drops every connection if it is given what OpenSSL rejects. */
function checked([certificate, privateKey, clientCa]: readonly Buffer[]): Certificates {
  const [own] = certificatesIn(certificate!);
  if (Date.parse(own!.validTo) < Date.now()) throw new Error(`the certificate expired on ${own!.validTo}`);
  if (clientCa !== undefined) certificatesIn(clientCa);
  // Throws if the key is not the certificate's.
  createSecureContext({ cert: certificate!, key: privateKey!, ca: clientCa });
  return { certificate: certificate!, privateKey: privateKey!, clientCa };
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** At least one. OpenSSL would pass over text that is no certificate, and then trust nobody. */
function certificatesIn(pem: Buffer): X509Certificate[] {
  const blocks = pem.toString('latin1').match(PEM_CERTIFICATE);
  if (blocks === null) throw new Error('there is no certificate in the file');
  return blocks.map((block) => new X509Certificate(block));
}

/**
 * What grpc-js asks for certificates. Unlike its own FileWatcherCertificateProvider it
 * hands on only what was checked, so that a bad file does not close the port.
 */
class ReloadedCertificates implements experimental.CertificateProvider {
  readonly #files: WatchedFiles<Certificates>;
  readonly #identityListeners = new Set<experimental.IdentityCertificateUpdateListener>();
  readonly #caListeners = new Set<experimental.CaCertificateUpdateListener>();

  constructor(files: WatchedFiles<Certificates>) {
    this.#files = files;
    files.onChange(() => {
      for (const listener of this.#identityListeners) this.#tellIdentity(listener);
      for (const listener of this.#caListeners) this.#tellCa(listener);
    });
  }

  addIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#identityListeners.add(listener);
    // Not at once: grpc-js listens before the server that is to hear of it.
    process.nextTick(() => this.#tellIdentity(listener));
  }

  removeIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#identityListeners.delete(listener);
  }

  addCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#caListeners.add(listener);
    process.nextTick(() => this.#tellCa(listener));
  }

  removeCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#caListeners.delete(listener);
  }

  #tellIdentity(listener: experimental.IdentityCertificateUpdateListener): void {
    const { certificate, privateKey } = this.#files.current;
    listener({ certificate, privateKey });
  }

  #tellCa(listener: experimental.CaCertificateUpdateListener): void {
    const { clientCa } = this.#files.current;
    listener(clientCa === undefined ? null : { caCertificate: clientCa });
  }
}
