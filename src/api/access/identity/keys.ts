import { createPublicKey } from 'node:crypto';
import { createLocalJWKSet, createRemoteJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import type { Logger } from 'pino';
import { unavailable } from '../../../app/errors.ts';
import { WatchedFiles, type WatchOptions } from '../watched-files.ts';

/** The public keys of whoever issues tokens. */
export interface IssuerKeys {
  /**
   * Yields the key with which a token says it was signed. Rejects with jose's
   * JWKSNoMatchingKey if there is none, with ServiceError UNAVAILABLE if none were had yet.
   */
  readonly find: JWTVerifyGetKey;
  /** Called after keys came or went. */
  onChange(listener: () => void): void;
}

/** Keys from a file, a JWK set or PEM, which may be replaced. Throws AccessFileError. */
export async function keysFromFile(path: string, options: WatchOptions): Promise<IssuerKeys> {
  const files = await WatchedFiles.open({ AUTH_JWKS_FILE: path }, ([text]) => keySet(text!.toString()), options);
  return {
    find: (header, token) => files.current(header, token),
    onChange: (listener) => files.onChange(listener),
  };
}

const PRIVATE_KEY = 'it holds a private key; public ones are enough, and safe to mount';

const PEM_BLOCK = /-----BEGIN ([A-Z ]+)-----[^-]*-----END \1-----/g;

function keySet(text: string): JWTVerifyGetKey {
  const isPem = text.includes('-----BEGIN');
  const keys = isPem ? [...text.matchAll(PEM_BLOCK)].map(pemKey) : (JSON.parse(text) as JSONWebKeySet).keys;
  // Throws if it is no set of keys.
  const set = createLocalJWKSet({ keys });
  if (keys.some((key) => 'd' in key)) throw new Error(PRIVATE_KEY);
  if (!keys.some(({ kty }) => kty !== 'oct')) throw new Error('there is no public key in it');
  // PEM has no place for the id by which tokens name their key.
  return isPem ? ({ alg }, token) => set({ alg }, token) : set;
}

function pemKey([block, label]: RegExpMatchArray): JSONWebKeySet['keys'][number] {
  if (label!.includes('PRIVATE')) throw new Error(PRIVATE_KEY);
  return createPublicKey(block).export({ format: 'jwk' }) as JSONWebKeySet['keys'][number];
}

/** Keys that were withdrawn are given up, and new ones known, after this time at the latest. */
const REFRESH_MS = 300_000;
/** A token that names an unknown key makes us look for new keys, but unknown callers must not make us do so often. */
const COOL_DOWN_MS = 30_000;
/** The same while there are no keys at all. */
const FIRST_KEYS_COOL_DOWN_MS = 1_000;

/**
 * Keys from a JWKS endpoint. While that is unreachable, those fetched last stay in
 * force: the issuer's outage shall not be ours.
 */
export class RemoteKeys implements IssuerKeys {
  readonly #remote: ReturnType<typeof createRemoteJWKSet>;
  readonly #url: string;
  readonly #log: Logger;
  readonly #listeners: (() => void)[] = [];
  /** The keys in force; empty before the first. */
  #fetched = '';
  #askedForAtMs = Number.NEGATIVE_INFINITY;
  #unreachable = false;

  constructor(url: string, log: Logger) {
    this.#url = url;
    this.#log = log;
    // It fetches when it is told to here, and not by itself.
    this.#remote = createRemoteJWKSet(new URL(url), { cacheMaxAge: Infinity, cooldownDuration: Infinity });
  }

  /** Fetches the keys now and then every five minutes. Never throws. */
  async start(): Promise<void> {
    await this.#fetch();
    setTimeout(() => void this.start(), REFRESH_MS).unref();
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  readonly find: JWTVerifyGetKey = async (header, token) => {
    if (this.#fetched === '') {
      await this.#fetchUnlessAskedLately(FIRST_KEYS_COOL_DOWN_MS);
      if (this.#fetched === '') throw unavailable("The keys of the tokens' issuer cannot be fetched.");
    }
    try {
      return await this.#remote(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await this.#fetchUnlessAskedLately(COOL_DOWN_MS);
      return this.#remote(header, token);
    }
  };

  async #fetchUnlessAskedLately(coolDownMs: number): Promise<void> {
    const nowMs = performance.now();
    if (nowMs - this.#askedForAtMs < coolDownMs && !this.#remote.reloading) return;
    this.#askedForAtMs = nowMs;
    await this.#fetch();
  }

  async #fetch(): Promise<void> {
    try {
      await this.#remote.reload();
    } catch (error) {
      if (!this.#unreachable) this.#log.warn({ err: error, url: this.#url }, "the issuer's keys cannot be fetched");
      this.#unreachable = true;
      return;
    }
    if (this.#unreachable) this.#log.info({ url: this.#url }, "the issuer's keys can be fetched again");
    this.#unreachable = false;
    const fetched = JSON.stringify(this.#remote.jwks());
    if (fetched === this.#fetched) return;
    this.#fetched = fetched;
    for (const listener of this.#listeners) listener();
  }
}
