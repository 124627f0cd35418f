import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheFolder } from '../../tools/stack/cache.ts';
import { onFreePorts } from '../../tools/stack/free-port.ts';
import { kafkaJars, startKafka } from '../../tools/stack/kafka.ts';
import { type CertificateAuthority, createAuthority } from './certificates.ts';

/** A broker of the test's own. Its certificate is for localhost; host:port of each listener. */
export interface SecureKafka {
  readonly authority: CertificateAuthority;
  readonly plaintext: string;
  /** With PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512, each with a password of its own. */
  readonly saslSsl: string;
  readonly passwords: Readonly<Record<string, string>>;
  /** Asks for a client certificate of the authority. */
  readonly ssl: string;
  stop(): Promise<void>;
}

export const USERNAME = 'relay';
const PASSWORDS = {
  PLAIN: 'planted-plain',
  'SCRAM-SHA-256': 'planted-scram-256',
  'SCRAM-SHA-512': 'planted-scram-512',
};

export async function startSecureKafka(): Promise<SecureKafka> {
  const folder = await mkdtemp(join(tmpdir(), 'payment-ledger-kafka-tls-'));
  const authority = createAuthority();
  const { cert, key } = authority.issue({ dnsNames: ['localhost'] });
  const jars = await kafkaJars(cacheFolder(process.env), () => undefined);
  const [server, ports] = await onFreePorts(4, async (free) => {
    const [plaintext, controller, saslSsl, ssl] = free as [number, number, number, number];
    await writeFile(join(folder, 'keystore.pem'), `${key}${cert}`);
    await writeFile(join(folder, 'truststore.pem'), authority.cert);
    const started = await startKafka(join(folder, 'kafka'), [plaintext, controller], jars, {
      properties: {
        listeners: `PLAINTEXT://127.0.0.1:${plaintext},CONTROLLER://127.0.0.1:${controller},SASL_SSL://127.0.0.1:${saslSsl},SSL://127.0.0.1:${ssl}`,
        'advertised.listeners': `PLAINTEXT://127.0.0.1:${plaintext},SASL_SSL://localhost:${saslSsl},SSL://localhost:${ssl}`,
        'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL',
        // Those without a login may do anything, the others what the ACLs of a topic allow, if it has any.
        'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
        'super.users': 'User:ANONYMOUS',
        'allow.everyone.if.no.acl.found': 'true',
        'ssl.keystore.type': 'PEM',
        'ssl.keystore.location': join(folder, 'keystore.pem'),
        'ssl.truststore.type': 'PEM',
        'ssl.truststore.location': join(folder, 'truststore.pem'),
        'listener.name.ssl.ssl.client.auth': 'required',
        'sasl.enabled.mechanisms': Object.keys(PASSWORDS).join(','),
        'listener.name.sasl_ssl.plain.sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required user_${USERNAME}="${PASSWORDS.PLAIN}";`,
        'listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config': SCRAM,
        'listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config': SCRAM,
      },
      scramCredentials: (['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const).map(
        (mechanism) => `${mechanism}=[name=${USERNAME},password=${PASSWORDS[mechanism]}]`,
      ),
    });
    return [started, { saslSsl, ssl }] as const;
  });
  return {
    authority,
    plaintext: server.address,
    saslSsl: `localhost:${ports.saslSsl}`,
    passwords: PASSWORDS,
    ssl: `localhost:${ports.ssl}`,
    async stop() {
      await server.stop();
      await rm(folder, { recursive: true });
    },
  };
}

const SCRAM = 'org.apache.kafka.common.security.scram.ScramLoginModule required;';
