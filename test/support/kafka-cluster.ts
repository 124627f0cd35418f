import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheFolder } from '../../tools/stack/cache.ts';
import { onFreePorts } from '../../tools/stack/free-port.ts';
import { kafkaJars, newClusterId, startKafka } from '../../tools/stack/kafka.ts';
import type { Server } from '../../tools/stack/server.ts';

/** Three brokers that are controllers as well, on this machine. */
export interface KafkaCluster {
  /** host:port of each, comma-separated. */
  readonly addresses: string;
  readonly brokers: readonly Server[];
  remove(): Promise<void>;
}

const BROKERS = 3;

export async function startKafkaCluster(): Promise<KafkaCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'payment-ledger-kafka-cluster-'));
  await chmod(folder, 0o755);
  const jars = await kafkaJars(cacheFolder(process.env), () => undefined);
  const brokers = await onFreePorts(2 * BROKERS, async (ports) => {
    const clusterId = newClusterId();
    const controllerPorts = ports.slice(BROKERS);
    const properties = {
      'controller.quorum.voters': controllerPorts.map((port, index) => `${index + 1}@127.0.0.1:${port}`).join(','),
      'offsets.topic.replication.factor': '3',
      'min.insync.replicas': '2',
      'unclean.leader.election.enable': 'false',
    };
    // None answers before two of them are there.
    const started = await Promise.allSettled(
      controllerPorts.map((controllerPort, index) =>
        startKafka(join(folder, String(index + 1)), [ports[index]!, controllerPort], jars, {
          clusterId,
          properties: { ...properties, 'node.id': String(index + 1) },
        }),
      ),
    );
    const failed = started.find((each) => each.status === 'rejected');
    const servers = started.filter((each) => each.status === 'fulfilled').map(({ value }) => value);
    if (failed === undefined) return servers;
    await Promise.all(servers.map((server) => server.stop()));
    throw failed.reason;
  });
  return {
    addresses: brokers.map(({ address }) => address).join(','),
    brokers,
    async remove() {
      await Promise.all(brokers.map((broker) => broker.stop()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
