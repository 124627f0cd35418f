/** RFC 3339 with up to nine digits of a second, https://www.rfc-editor.org/rfc/rfc3339#section-5.6. */
const RFC_3339 =
  /^(\d{4})-(0[1-9]|1[0-2])-(\d\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.(\d{1,9}))?(?:Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/;

export function isTime(text: string): boolean {
  const [, year, month, day] = RFC_3339.exec(text) ?? [];
  if (day === undefined) return false;
  const daysInMonth = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  return Number(day) >= 1 && Number(day) <= daysInMonth;
}

/** The millisecond in which the time lies. */
export function millisecondOf(text: string): Date {
  return new Date(text);
}

/** The first millisecond that is not before the time; undefined if the text is empty. What happens here has whole milliseconds. */
export function firstMillisecondFrom(text: string): Date | undefined {
  if (text === '') return undefined;
  const beyond = Number(RFC_3339.exec(text)?.[5]?.slice(3) ?? 0) > 0;
  return new Date(new Date(text).getTime() + (beyond ? 1 : 0));
}
