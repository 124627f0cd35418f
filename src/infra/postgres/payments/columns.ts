import { jsonArray, plainArray, textArray } from '../array.ts';

/** A column of the rows that are given to the statement: one array of all its values. */
export interface Column<Item> {
  readonly name: string;
  readonly type: string;
  readonly array: (items: readonly Item[]) => string;
}

export function plain<Item>(
  name: string,
  type: string,
  value: (item: Item) => string | number | bigint | undefined,
): Column<Item> {
  return { name, type, array: (items) => plainArray(items.map(value)) };
}

export function text<Item>(name: string, value: (item: Item) => string | undefined): Column<Item> {
  return { name, type: 'text', array: (items) => textArray(items.map(value)) };
}

export function json<Item>(name: string, value: (item: Item) => object): Column<Item> {
  return { name, type: 'jsonb', array: (items) => jsonArray(items.map(value)) };
}

/** undefined becomes NULL. */
export function optionalJson<Item>(name: string, value: (item: Item) => object | undefined): Column<Item> {
  const textOf = (item: Item) => {
    const document = value(item);
    return document === undefined ? undefined : JSON.stringify(document);
  };
  return { name, type: 'jsonb', array: (items) => textArray(items.map(textOf)) };
}

/** The columns as rows of a FROM clause; the parameters of the statement from first on are their arrays. */
export function unnest(columns: readonly Column<never>[], first: number): string {
  return `unnest(${columns.map(({ type }, n) => `$${first + n}::${type}[]`).join(', ')})`;
}

export function names(columns: readonly Column<never>[]): string {
  return columns.map(({ name }) => name).join(', ');
}
