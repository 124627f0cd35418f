import { z } from 'zod';
import { addresses } from './values.ts';

export const kafkaVariables = {
  KAFKA_BROKERS: addresses,
  KAFKA_TOPIC: z.string().min(1).max(249).default('payment.events.v1'),
};
