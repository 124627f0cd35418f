/**
 * Takes out of a list that fails what it fails without: first what comes after the failure, then one after the other,
 * until nothing can be spared. failureOf gives the index at which a list fails, or undefined.
 */
export async function shorten<Item>(
  failing: readonly Item[],
  failureOf: (items: readonly Item[]) => Promise<number | undefined>,
): Promise<readonly Item[]> {
  let shortest = failing;
  const trySooner = async (items: readonly Item[]): Promise<boolean> => {
    const index = await failureOf(items);
    if (index !== undefined) shortest = items.slice(0, index + 1);
    return index !== undefined;
  };
  await trySooner(failing);
  for (let spared = true; spared; ) {
    spared = false;
    for (let index = shortest.length - 1; index >= 0; index -= 1) {
      if (await trySooner(shortest.toSpliced(index, 1))) spared = true;
    }
  }
  return shortest;
}
