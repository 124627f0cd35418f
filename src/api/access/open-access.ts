import type { Registry } from 'prom-client';
import type { RateLimiter } from '../../app/ports.ts';
import { Access, type Identity, UNAUTHENTICATED_CALLS } from './access.ts';
import { openCallersFile } from './identity/callers-file.ts';
import { CertificateIdentity } from './identity/client-certificate.ts';
import { JwtIdentity, type JwtSettings } from './identity/jwt.ts';
import { type IssuerKeys, keysFromFile, RemoteKeys } from './identity/keys.ts';
import type { WatchOptions } from './watched-files.ts';

/** Where the issuer's keys are. */
export type KeyLocation = { readonly url: string } | { readonly file: string };

/** How callers are known. */
export type AccessSettings =
  | { readonly by: 'TOKEN'; readonly keys: KeyLocation; readonly jwt: JwtSettings }
  | { readonly by: 'CERTIFICATE'; readonly callersFile: string }
  /** Not at all: everybody may do everything. */
  | { readonly by: 'NOTHING' };

/** limiter has a bucket for each caller; undefined is no limit. Throws AccessFileError. */
export async function openAccess(
  settings: AccessSettings,
  limiter: RateLimiter | undefined,
  registry: Registry,
  watch: WatchOptions,
): Promise<Access> {
  return new Access(await openIdentity(settings, watch), limiter, registry);
}

async function openIdentity(settings: AccessSettings, watch: WatchOptions): Promise<Identity> {
  switch (settings.by) {
    case 'TOKEN':
      return new JwtIdentity(await openKeys(settings.keys, watch), settings.jwt);
    case 'CERTIFICATE':
      return new CertificateIdentity(await openCallersFile(settings.callersFile, watch));
    case 'NOTHING':
      return UNAUTHENTICATED_CALLS;
  }
}

async function openKeys(location: KeyLocation, watch: WatchOptions): Promise<IssuerKeys> {
  if ('file' in location) return keysFromFile(location.file, watch);
  const keys = new RemoteKeys(location.url, watch.log);
  await keys.start();
  return keys;
}
