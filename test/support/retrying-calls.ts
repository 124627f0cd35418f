import { readFileSync } from 'node:fs';
import type { ClientOptions } from '@grpc/grpc-js';

/** What any client of gRPC can be given, without its deadline: this machine may be busy. */
const RECOMMENDED = JSON.parse(readFileSync(new URL('../../examples/service-config.json', import.meta.url), 'utf8'));
for (const method of RECOMMENDED.methodConfig) delete method.timeout;

/** Options of a client whose calls do not fail where replicas restart in turn. */
export function retryingCalls(balancing: 'round_robin' | 'pick_first'): Partial<ClientOptions> {
  return {
    'grpc.service_config': JSON.stringify({ ...RECOMMENDED, loadBalancingConfig: [{ [balancing]: {} }] }),
    // Clients of one process would share connections, and so not balance as several do.
    'grpc.use_local_subchannel_pool': 1,
  };
}
