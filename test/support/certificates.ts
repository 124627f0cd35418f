import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIPv4 } from 'node:net';

/** In PEM; the key as PKCS #8. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateRequest {
  readonly commonName?: string;
  /** Subject alternative names: what clients compare a server's name with. */
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly uris?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

export interface CertificateAuthority {
  /** Its own certificate, in PEM. */
  readonly cert: string;
  /** For servers and for clients. Valid from yesterday to tomorrow unless told otherwise. */
  issue(request: CertificateRequest): Certificate;
}

/** An authority that nobody trusts who was not given its certificate. */
export function createAuthority(commonName = `Test CA ${randomBytes(4).toString('hex')}`): CertificateAuthority {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer: Issuer = { commonName, key: privateKey, keyId: keyId(publicKey) };
  const isAuthority = extension(BASIC_CONSTRAINTS, sequence(tlv(0x01, Buffer.of(0xff))), { critical: true });
  const mayIssue = extension(KEY_USAGE, bits(Buffer.of(0x06), 1), { critical: true });
  return {
    cert: certificate(issuer, publicKey, { commonName }, [isAuthority, mayIssue]),
    issue(request) {
      const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const names = [
        ...(request.dnsNames ?? []).map((name) => tlv(0x82, Buffer.from(name))),
        ...(request.ipAddresses ?? []).map((address) => tlv(0x87, ipBytes(address))),
        ...(request.uris ?? []).map((uri) => tlv(0x86, Buffer.from(uri))),
      ];
      const extensions = [extension(EXTENDED_KEY_USAGE, sequence(oid(SERVER_AUTH), oid(CLIENT_AUTH)))];
      if (names.length > 0) extensions.push(extension(SUBJECT_ALTERNATIVE_NAME, sequence(...names)));
      return {
        cert: certificate(issuer, pair.publicKey, request, extensions),
        key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
      };
    },
  };
}

interface Issuer {
  readonly commonName: string;
  readonly key: KeyObject;
  readonly keyId: Buffer;
}

const DAY_MS = 86_400_000;

const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const COMMON_NAME = '2.5.4.3';
const SUBJECT_KEY_ID = '2.5.29.14';
const KEY_USAGE = '2.5.29.15';
const SUBJECT_ALTERNATIVE_NAME = '2.5.29.17';
const BASIC_CONSTRAINTS = '2.5.29.19';
const AUTHORITY_KEY_ID = '2.5.29.35';
const EXTENDED_KEY_USAGE = '2.5.29.37';
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

/** Signs an X.509 certificate, version 3: RFC 5280, section 4.1. */
function certificate(
  issuer: Issuer,
  subjectKey: KeyObject,
  { commonName = 'test', notBefore, notAfter }: CertificateRequest,
  extensions: readonly Buffer[],
): string {
  const algorithm = sequence(oid(ECDSA_WITH_SHA256));
  const toSign = sequence(
    tlv(0xa0, integer(Buffer.of(2))),
    integer(Buffer.concat([Buffer.of(1), randomBytes(15)])),
    algorithm,
    distinguishedName(issuer.commonName),
    sequence(time(notBefore ?? new Date(Date.now() - DAY_MS)), time(notAfter ?? new Date(Date.now() + DAY_MS))),
    distinguishedName(commonName),
    subjectKey.export({ type: 'spki', format: 'der' }),
    tlv(
      0xa3,
      sequence(
        ...extensions,
        extension(SUBJECT_KEY_ID, octets(keyId(subjectKey))),
        extension(AUTHORITY_KEY_ID, sequence(tlv(0x80, issuer.keyId))),
      ),
    ),
  );
  const signature = bits(sign('sha256', toSign, issuer.key));
  const base64 = sequence(toSign, algorithm, signature).toString('base64').replace(/.{64}/g, '$&\n').trimEnd();
  return `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
}

/** DER: a tag, the length in as few bytes as it takes, the content. */
function tlv(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  if (content.length < 0x80) return Buffer.concat([Buffer.of(tag, content.length), content]);
  if (content.length < 0x100) return Buffer.concat([Buffer.of(tag, 0x81, content.length), content]);
  return Buffer.concat([Buffer.of(tag, 0x82, content.length >> 8, content.length & 0xff), content]);
}

function sequence(...contents: readonly Buffer[]): Buffer {
  return tlv(0x30, ...contents);
}

/** Of a positive number whose highest bit is not set. */
function integer(bytes: Buffer): Buffer {
  return tlv(0x02, bytes);
}

function octets(bytes: Buffer): Buffer {
  return tlv(0x04, bytes);
}

function bits(bytes: Buffer, unused = 0): Buffer {
  return tlv(0x03, Buffer.of(unused), bytes);
}

function oid(dotted: string): Buffer {
  const [first, second, ...others] = dotted.split('.').map(Number) as [number, number, ...number[]];
  const base128 = (arc: number): number[] =>
    arc < 0x80 ? [arc] : [...base128(arc >> 7).map((byte) => byte | 0x80), arc & 0x7f];
  return tlv(0x06, Buffer.from([first * 40 + second, ...others.flatMap(base128)]));
}

function time(date: Date): Buffer {
  // GeneralizedTime, which RFC 5280 keeps for the years from 2050 on but everyone reads.
  return tlv(0x18, Buffer.from(`${date.toISOString().replace(/[-:T]|\.\d+/g, '')}`));
}

function distinguishedName(commonName: string): Buffer {
  return sequence(tlv(0x31, sequence(oid(COMMON_NAME), tlv(0x0c, Buffer.from(commonName)))));
}

function extension(id: string, value: Buffer, { critical = false } = {}): Buffer {
  return sequence(oid(id), ...(critical ? [tlv(0x01, Buffer.of(0xff))] : []), octets(value));
}

function keyId(key: KeyObject): Buffer {
  return createHash('sha1')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest();
}

function ipBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  if (address === '::1') return Buffer.concat([Buffer.alloc(15), Buffer.of(1)]);
  throw new Error(`${address} is not an IPv4 address or ::1`);
}
