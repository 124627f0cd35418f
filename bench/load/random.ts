/** Whole numbers from 0 below a limit, fast and well enough spread; not for secrets. */
export type Random = (limit: number) => number;

/** xorshift128 (Marsaglia, 2003), from a seed. */
export function random(seed: number): Random {
  let [x, y, z, w] = [0, 1, 2, 3].map((n) => spread(seed + n * 0x9e3779b9)) as [number, number, number, number];
  const next = () => {
    const t = x ^ (x << 11);
    x = y;
    y = z;
    z = w;
    w = w ^ (w >>> 19) ^ t ^ (t >>> 8);
    return w >>> 0;
  };
  return (limit) => Math.floor((next() / 2 ** 32) * limit);
}

/**
 * Numbers from 0 below count where the k-th is drawn in proportion to 1/k (Zipf's
 * law), as a few accounts in any real system see most payments.
 */
export function zipf(count: number, uniform: Random): () => number {
  const cumulative = new Float64Array(count);
  let sum = 0;
  for (let k = 0; k < count; k++) {
    sum += 1 / (k + 1);
    cumulative[k] = sum;
  }
  return () => {
    const wanted = (uniform(2 ** 30) / 2 ** 30) * sum;
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (cumulative[middle]! > wanted) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}

/** The finalizer of MurmurHash3: seeds that are close to each other begin far apart. */
function spread(n: number): number {
  let h = Math.imul(n ^ (n >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
