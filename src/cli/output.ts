/** A column's title; its values stand at the right if it is a number. */
export interface Column {
  readonly title: string;
  readonly number?: boolean;
}

/** Lines of a table: titles, then rows. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const lines = [columns.map(({ title }) => title), ...rows.map((row) => row.map(printable))];
  const widths = columns.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const cell = (text: string, column: number) =>
    columns[column]!.number ? text.padStart(widths[column]!) : text.padEnd(widths[column]!);
  return lines.map((line) => line.map(cell).join('  ').trimEnd()).join('\n');
}

/** One thing, a line for each of its fields; those that are undefined are left out. */
export function fields(values: Readonly<Record<string, string | undefined>>): string {
  const shown = Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const width = Math.max(...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}`).join('\n');
}

/** For programs. Amounts and versions are strings of digits, as JSON's numbers end at 2^53. */
export function json(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? inner.toString() : inner));
}

/** What callers wrote must not move the cursor or colour the terminal. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** An enum's value without the name of its enum: ACCOUNT_TYPE_CUSTOMER is CUSTOMER. */
export function shortName(name: string): string {
  return name.replace(
    /^(ACCOUNT_TYPE|ACCOUNT_ENTRY_TYPE|PAYMENT_STATUS|PAYMENT_ACTION_TYPE|PAYMENT_ERROR_CODE|STATE)_/,
    '',
  );
}

/** Says on stderr that a list was cut short. */
export function printMore(more: boolean): void {
  if (more) console.error('There are more: --limit N shows as many, --all shows all.');
}
