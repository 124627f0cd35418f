interface ListResponse {
  readonly nextPageToken: string;
}

/** Reads the pages of a list one after the other, to its end. */
export async function allPages<Response extends ListResponse>(
  read: (pageToken: string) => Promise<Response>,
  between: (pages: readonly Response[]) => Promise<unknown> = async () => undefined,
): Promise<Response[]> {
  const pages: Response[] = [];
  let pageToken = '';
  do {
    const page = await read(pageToken);
    pages.push(page);
    if (pages.length > 1_000) throw new Error('the list does not end');
    pageToken = page.nextPageToken;
    if (pageToken !== '') await between(pages);
  } while (pageToken !== '');
  return pages;
}
