/** The most items of a page that the API gives. */
const MOST_ITEMS = 1_000;

export interface Page<T> {
  readonly items: readonly T[];
  readonly nextPageToken: string;
}

/** The first items of a list, page by page, and whether there are more. A page may be empty and not the last. */
export async function collect<T>(
  limit: number,
  page: (pageSize: number, pageToken: string) => Promise<Page<T>>,
): Promise<{ items: T[]; more: boolean }> {
  const items: T[] = [];
  for (let pageToken = ''; ; ) {
    const { items: next, nextPageToken } = await page(Math.min(limit - items.length, MOST_ITEMS), pageToken);
    items.push(...next);
    if (nextPageToken === '' || items.length >= limit) return { items, more: nextPageToken !== '' };
    pageToken = nextPageToken;
  }
}
