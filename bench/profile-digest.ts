import { z } from 'zod';

/** What `node --cpu-prof` writes, as far as it is read here. */
const cpuProfile = z.object({
  nodes: z.array(
    z.object({
      id: z.number(),
      callFrame: z.object({ functionName: z.string(), url: z.string() }),
      children: z.array(z.number()).optional(),
    }),
  ),
  samples: z.array(z.number()),
  /** Microseconds since the sample before. */
  timeDeltas: z.array(z.number()),
});

/** Whose time it is: the first that matches a function's file. */
const OWNERS: readonly (readonly [file: RegExp, owner: string])[] = [
  [/internal\/(modules|deps\/amaro|main|process\/pre_execution|bootstrap)|node:internal\/vm/, 'start-up'],
  [/\/node_modules\/pg(-[a-z]+)?\//, 'pg'],
  [
    /\/node_modules\/(ioredis|redis-parser|standard-as-callback)\/|src\/infra\/redis/,
    'Redis: ioredis, rate limiter, hint',
  ],
  [/\/node_modules\/@grpc\/grpc-js\//, 'grpc-js'],
  [/\/node_modules\/@bufbuild\/|src\/gen/, 'protobuf'],
  [/\/node_modules\/prom-client\//, 'metrics'],
  [/src\/infra/, 'src/infra: ids and statements'],
  [/src\/app/, 'src/app: decisions, group commit'],
  [/src\/api/, 'src/api: handlers, validation'],
  [/node:internal\/http2/, 'node:http2'],
];

/**
 * How a process' busy time divides among parts of the program, in shares of 1, the
 * largest first. A function of Node or V8 counts for whoever called it. Start-up and
 * idle time are left out.
 */
export function digest(json: string): [owner: string, share: number][] {
  const { nodes, samples, timeDeltas } = cpuProfile.parse(JSON.parse(json));
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const callers = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)));
  const ownerOf = (id: number): string => {
    for (let at: number | undefined = id; at !== undefined; at = callers.get(at)) {
      const { functionName, url } = frames.get(at)!;
      if (functionName === '(garbage collector)') return 'garbage collection';
      if (functionName === '(idle)') return 'idle';
      const owner = OWNERS.find(([file]) => file.test(url));
      if (owner !== undefined) return owner[1];
    }
    return 'node: sockets, streams, timers, promises';
  };
  const owners = new Map(nodes.map(({ id }) => [id, ownerOf(id)]));
  const times = new Map<string, number>();
  for (const [index, sample] of samples.entries()) {
    const owner = owners.get(sample)!;
    if (owner !== 'idle' && owner !== 'start-up') times.set(owner, (times.get(owner) ?? 0) + timeDeltas[index]!);
  }
  const total = [...times.values()].reduce((sum, time) => sum + time, 0);
  return [...times]
    .map(([owner, time]): [string, number] => [owner, time / total])
    .sort((one, other) => other[1] - one[1]);
}
