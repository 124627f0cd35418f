import { type ChannelCredentials, credentials } from '@grpc/grpc-js';

export interface LedgerClientOptions {
  /** True calls in clear: for a service on this machine, or behind a mesh that encrypts. */
  readonly insecure?: boolean;
  /** In PEM: the authorities to trust instead of Node's own, and a client certificate with its key. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** A bearer token, or what gives one; asked before each attempt, so it should keep the token while it is good. */
  readonly token?: string | (() => string | Promise<string>);
  /** What a call may take, its repetitions included. 10,000 ms unless told otherwise. */
  readonly timeoutMs?: number;
  /** How often a call is sent at most; 1 never repeats. 5 unless told otherwise. */
  readonly maxAttempts?: number;
}

/** Throws a TypeError that names the option if two contradict each other. */
export function channelCredentials({ insecure = false, tls }: LedgerClientOptions): ChannelCredentials {
  if (insecure) {
    if (tls !== undefined) throw new TypeError('insecure and tls contradict each other: give one of them');
    return credentials.createInsecure();
  }
  const { ca, cert, key } = tls ?? {};
  if ((cert === undefined) !== (key === undefined)) throw new TypeError('tls.cert and tls.key are given together');
  return credentials.createSsl(bytes(ca), bytes(key), bytes(cert));
}

function bytes(pem: string | undefined): Buffer | null {
  return pem === undefined ? null : Buffer.from(pem);
}

/** All replicas that a name stands for are called in turn. */
export const CHANNEL_OPTIONS = {
  'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
  // This client repeats calls itself, as it knows how long the service asks to be left alone.
  'grpc.enable_retries': 0,
};

export function positive(name: string, value: number): number {
  if (!Number.isFinite(value) || value <= 0) throw new RangeError(`${name} must be more than zero, not ${value}`);
  return value;
}
