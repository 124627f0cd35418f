import type { ServerUnaryCall } from '@grpc/grpc-js';
import { errors, type JWTPayload, jwtVerify } from 'jose';
import { EVERY_ACCOUNT, onlyAccounts } from '../accounts.ts';
import { type Caller, isCallerName, scopesAmong } from '../caller.ts';
import { type AuthenticationFailure, unauthenticated } from '../denials.ts';
import type { IssuerKeys } from './keys.ts';
import { TokenCache } from './token-cache.ts';

export interface JwtSettings {
  readonly issuer: string;
  /** One of them must be among the token's. */
  readonly audiences: readonly string[];
  /** Asymmetric ones only. */
  readonly algorithms: readonly string[];
  readonly clockToleranceSeconds: number;
  /** The claim that says for which accounts the caller may act; undefined lets it act for all. */
  readonly accountsClaim: string | undefined;
}

/** RFC 6750. In characters; issuers' tokens have one or two thousand. */
const BEARER = /^bearer +([\w.~+/=-]{1,8192})$/i;

/** Tells who calls by the bearer token of the call: a JWT as in RFC 7519, signed by the issuer. */
export class JwtIdentity {
  readonly #keys: IssuerKeys;
  readonly #settings: JwtSettings;
  readonly #cache = new TokenCache();
  /** Counts changes of the keys. */
  #generation = 0;

  constructor(keys: IssuerKeys, settings: JwtSettings) {
    this.#keys = keys;
    this.#settings = settings;
    // A key may have been withdrawn because it was stolen.
    keys.onChange(() => {
      this.#generation += 1;
      this.#cache.clear();
    });
  }

  /**
   * Fails with ServiceError UNAUTHENTICATED; or UNAVAILABLE if the issuer's keys are not
   * known yet. A promise only for a token that was not seen before.
   */
  identify({ metadata }: Pick<ServerUnaryCall<unknown, unknown>, 'metadata'>): Caller | Promise<Caller> {
    const [header, ...others] = metadata.get('authorization');
    if (header === undefined) throw unauthenticated('TOKEN_MISSING', 'The call has no bearer token.');
    const [, token] = BEARER.exec(String(header)) ?? [];
    if (token === undefined || others.length > 0) {
      throw unauthenticated('TOKEN_MALFORMED', 'The authorization is not one bearer token.');
    }
    return this.#cache.find(token, Date.now()) ?? this.#verify(token);
  }

  async #verify(token: string): Promise<Caller> {
    const { issuer, audiences, algorithms, clockToleranceSeconds } = this.#settings;
    const generation = this.#generation;
    const options = {
      issuer,
      audience: [...audiences],
      algorithms: [...algorithms],
      clockTolerance: clockToleranceSeconds,
      requiredClaims: ['exp', 'sub'],
    };
    const { payload } = await jwtVerify(token, this.#keys.find, options)
      .catch((error) => this.#tryEachKey(error, token, options))
      .catch(rejectToken);
    const caller = callerOf(payload, this.#settings.accountsClaim);
    // Unless the key was withdrawn meanwhile.
    if (generation === this.#generation) {
      this.#cache.keep(token, caller, (payload.exp! + clockToleranceSeconds) * 1_000);
    }
    return caller;
  }

  /** A token that does not name its key may be by any of several. */
  async #tryEachKey(error: unknown, token: string, options: Parameters<typeof jwtVerify>[2]) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    for await (const key of error) {
      try {
        return await jwtVerify(token, key, options);
      } catch (failure) {
        if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

function callerOf(payload: JWTPayload, accountsClaim: string | undefined): Caller {
  const { sub, scope, scp } = payload;
  if (!isCallerName(sub)) throw unauthenticated('TOKEN_MALFORMED', "The token's sub names no caller.");
  return {
    name: sub,
    scopes: scopesAmong([scope, scp].flatMap(words)),
    // A token without the claim is for no account: to leave it out must not be worth more than to set it.
    accounts: accountsClaim === undefined ? EVERY_ACCOUNT : onlyAccounts(words(payload[accountsClaim])),
  };
}

/** scope is a text with spaces (RFC 8693), scp in the tokens of some issuers a list. */
function words(claim: unknown): string[] {
  if (typeof claim === 'string') return claim.split(' ');
  return Array.isArray(claim) ? claim.filter((word) => typeof word === 'string') : [];
}

function rejectToken(error: unknown): never {
  if (!(error instanceof errors.JOSEError)) throw error;
  const reason = reasonOf(error);
  throw unauthenticated(reason, SENTENCES[reason]!, error);
}

function reasonOf(error: errors.JOSEError): AuthenticationFailure {
  if (error instanceof errors.JWTExpired) return 'TOKEN_EXPIRED';
  if (error instanceof errors.JOSEAlgNotAllowed) return 'TOKEN_ALGORITHM_NOT_ALLOWED';
  if (error instanceof errors.JWKSNoMatchingKey) return 'TOKEN_KEY_UNKNOWN';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'TOKEN_SIGNATURE_INVALID';
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'nbf') return 'TOKEN_NOT_YET_VALID';
    if (error.claim === 'iss') return 'TOKEN_WRONG_ISSUER';
    if (error.claim === 'aud') return 'TOKEN_WRONG_AUDIENCE';
  }
  return 'TOKEN_MALFORMED';
}

const SENTENCES: Partial<Record<AuthenticationFailure, string>> = {
  TOKEN_MALFORMED: 'The token is not a signed JWT with all claims that are needed.',
  TOKEN_ALGORITHM_NOT_ALLOWED: 'The token is not signed with an algorithm that is allowed here.',
  TOKEN_KEY_UNKNOWN: 'The token is signed with a key that is not known here.',
  TOKEN_SIGNATURE_INVALID: 'The signature of the token is not valid.',
  TOKEN_EXPIRED: 'The token has expired.',
  TOKEN_NOT_YET_VALID: 'The token is not valid yet.',
  TOKEN_WRONG_ISSUER: 'The token is from another issuer.',
  TOKEN_WRONG_AUDIENCE: 'The token is for another audience.',
};
