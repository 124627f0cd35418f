export interface ScrapedMetric {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  /** Names of labels, without le. */
  readonly labels: ReadonlySet<string>;
  /** By name and labels as they are written. */
  readonly values: ReadonlyMap<string, number>;
}

/** What a process shows at /metrics of host:port, by name. */
export async function scrape(address: string): Promise<ReadonlyMap<string, ScrapedMetric>> {
  const response = await fetch(`http://${address}/metrics`);
  if (!response.ok) throw new Error(`/metrics of ${address}: ${response.status} ${await response.text()}`);
  const metrics = new Map<string, ScrapedMetric>();
  for (const block of (await response.text()).split('# HELP ').slice(1)) {
    const [, name, help] = /^(\S+) (.*)/.exec(block)!;
    const [, type] = /^# TYPE \S+ (\S+)/m.exec(block)!;
    const lines = [...block.matchAll(/^(\w+(?:\{.*\})?) (\S+)$/gm)];
    const labels = lines.flatMap(([, line]) => [...line!.matchAll(/(\w+)="/g)].map(([, label]) => label!));
    metrics.set(name!, {
      name: name!,
      type: type!,
      help: help!,
      labels: new Set(labels.filter((label) => label !== 'le')),
      values: new Map(lines.map(([, line, value]) => [line!, Number(value)])),
    });
  }
  return metrics;
}

/** A metric's values that are not 0, by the values of their labels, such as "declined INSUFFICIENT_FUNDS". */
export async function shown(address: string, name: string): Promise<Record<string, number>> {
  const metric = (await scrape(address)).get(name);
  if (metric === undefined) throw new Error(`${address} shows no ${name}`);
  return Object.fromEntries(
    [...metric.values]
      .filter(([, value]) => value !== 0)
      .map(([line, value]) => [
        [...line.matchAll(/="([^"]*)"/g)]
          .map(([, label]) => label)
          .join(' ')
          .trim(),
        value,
      ]),
  );
}
