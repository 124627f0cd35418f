import { z } from 'zod';
import { addresses, certificates, checkKeyPair, flag, privateKey, secret } from './values.ts';

export const kafkaVariables = {
  KAFKA_BROKERS: addresses,
  KAFKA_TOPIC: z.string().min(1).max(249).default('payment.events.v1'),
  /** 1 encrypts, and verifies the brokers' certificates and names. */
  KAFKA_SSL: flag,
  /** PEM, as the next two: the authorities to trust instead of those that come with Node. */
  KAFKA_SSL_CA: certificates.optional(),
  /** For brokers that ask for a client certificate. */
  KAFKA_SSL_CERT: certificates.optional(),
  KAFKA_SSL_KEY: privateKey.optional(),
  KAFKA_SASL_MECHANISM: z.enum(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']).optional(),
  KAFKA_SASL_USERNAME: z.string().optional(),
  KAFKA_SASL_PASSWORD: secret.optional(),
};

type Variables = z.output<z.ZodObject<typeof kafkaVariables>>;

export function checkKafka(variables: Variables, context: z.RefinementCtx): void {
  const report = (name: keyof Variables, message: string) =>
    context.addIssue({ code: 'custom', path: [name], message });
  const {
    KAFKA_SSL: ssl,
    KAFKA_SASL_MECHANISM: mechanism,
    KAFKA_SASL_USERNAME: username,
    KAFKA_SASL_PASSWORD: password,
  } = variables;

  if (ssl === '0') {
    for (const name of ['KAFKA_SSL_CA', 'KAFKA_SSL_CERT', 'KAFKA_SSL_KEY'] as const) {
      if (variables[name] !== undefined) report(name, 'is of no use without KAFKA_SSL=1');
    }
    if (mechanism === 'PLAIN') report('KAFKA_SASL_MECHANISM', 'PLAIN without KAFKA_SSL=1 would show the password');
  }
  checkKeyPair(variables, 'KAFKA_SSL_CERT', 'KAFKA_SSL_KEY', context);

  const credentials = { KAFKA_SASL_USERNAME: username, KAFKA_SASL_PASSWORD: password };
  for (const [name, value] of Object.entries(credentials) as [keyof Variables, string | undefined][]) {
    if (mechanism !== undefined && value === undefined) report(name, 'is not set, but KAFKA_SASL_MECHANISM is');
    if (mechanism === undefined && value !== undefined) report(name, 'is of no use without KAFKA_SASL_MECHANISM');
  }
}

const MECHANISMS = {
  PLAIN: 'plain',
  'SCRAM-SHA-256': 'scram-sha-256',
  'SCRAM-SHA-512': 'scram-sha-512',
} as const;

/** Where Kafka is and how it is reached. */
export function kafkaAddress(variables: Variables) {
  const { KAFKA_BROKERS: brokers, KAFKA_SSL: ssl, KAFKA_SASL_MECHANISM: mechanism } = variables;
  const tls = { ca: variables.KAFKA_SSL_CA, cert: variables.KAFKA_SSL_CERT, key: variables.KAFKA_SSL_KEY };
  return {
    brokers,
    tls: ssl === '1' ? tls : undefined,
    sasl:
      mechanism === undefined
        ? undefined
        : {
            mechanism: MECHANISMS[mechanism],
            // Both are there: see checkKafka.
            username: variables.KAFKA_SASL_USERNAME!,
            password: variables.KAFKA_SASL_PASSWORD!,
          },
  };
}
