import { exportJWK, exportSPKI, generateKeyPair, type JSONWebKeySet, type JWTPayload, SignJWT } from 'jose';

/** Undefined leaves a claim out. */
export type Claims = Readonly<Record<string, unknown>>;

export const ISSUER = 'https://issuer.example';
export const AUDIENCE = 'payment-ledger';

/** A key that signs tokens, and its public half in the forms that servers are given. */
export interface SigningKey {
  readonly jwk: JSONWebKeySet['keys'][number];
  readonly pem: string;
  /** A token that is good for a minute, unless told otherwise; undefined leaves a claim out. */
  token(claims?: Claims): Promise<string>;
}

export async function signingKey(kid: string, algorithm = 'ES256'): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true });
  return {
    jwk: { ...(await exportJWK(publicKey)), kid, alg: algorithm, use: 'sig' },
    pem: await exportSPKI(publicKey),
    token: (claims) => new SignJWT(goodClaims(claims)).setProtectedHeader({ alg: algorithm, kid }).sign(privateKey),
  };
}

/** What a token says that has every scope; claims replace it. */
export function goodClaims(claims: Claims = {}): JWTPayload {
  const now = Math.floor(Date.now() / 1_000);
  return {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: 'caller-1',
    exp: now + 60,
    scope: 'payments.authorize payments.read accounts.admin',
    ...claims,
  };
}

/** Any header and claims, with whatever signature: what an attacker may write. */
export function forgedToken(header: object, claims: object, signature = Buffer.alloc(0)): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  return `${encode(header)}.${encode(claims)}.${signature.toString('base64url')}`;
}
