/** A bar with the spread of its rounds. */
export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  /** Set apart by colour: what the others are compared with. */
  readonly reference: boolean;
}

export interface Line {
  readonly label: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

const WIDTH = 760;
const FONT = 'font-family="system-ui, sans-serif" font-size="13"';
/** Told apart by the colour-blind too, and readable on light and dark pages. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7'] as const;
const GREY = '#808890';

/** Horizontal bars; whiskers reach from the slowest round to the fastest. */
export function barChart(title: string, unit: string, bars: readonly Bar[]): string {
  const [left, right, top, step] = [230, 70, 44, 30];
  const most = Math.max(...bars.map(({ max }) => max));
  const scale = (value: number) => (value / most) * (WIDTH - left - right);
  const rows = bars.map(({ label, value, min, max, reference }, index) => {
    const y = top + index * step;
    const middle = y + 10;
    return [
      text(left - 10, middle + 5, label, 'end'),
      `<rect x="${left}" y="${y}" width="${px(scale(value))}" height="20" rx="2" fill="${reference ? GREY : COLOURS[0]}"/>`,
      `<path d="M${px(left + scale(min))} ${middle}H${px(left + scale(max))}" stroke="${COLOURS[1]}" stroke-width="2"/>`,
      text(left + scale(max) + 8, middle + 5, figure(value), 'start'),
    ].join('\n');
  });
  return page(title, unit, top + bars.length * step + 10, rows);
}

/** Lines over a common horizontal axis. */
export function lineChart(title: string, unit: string, horizontal: string, lines: readonly Line[]): string {
  const [left, right, top, height] = [60, 130, 50, 240];
  const points = lines.flatMap((line) => line.points);
  const mostX = Math.max(...points.map(([x]) => x));
  const mostY = niceCeiling(Math.max(...points.map(([, y]) => y)));
  const atX = (x: number) => px(left + (x / mostX) * (WIDTH - left - right));
  const atY = (y: number) => px(top + height - (y / mostY) * height);
  const grid = [0, 0.25, 0.5, 0.75, 1].map((share) =>
    [
      `<path d="M${left} ${atY(share * mostY)}H${WIDTH - right}" stroke="${GREY}" stroke-opacity="0.35"/>`,
      text(left - 8, Number(atY(share * mostY)) + 4, figure(share * mostY), 'end'),
    ].join('\n'),
  );
  const drawn = lines.map(({ label, points: [...own] }, index) => {
    const colour = COLOURS[index % COLOURS.length];
    const path = own.map(([x, y], n) => `${n === 0 ? 'M' : 'L'}${atX(x)} ${atY(y)}`).join('');
    const legendY = top + 10 + index * 22;
    return [
      `<path d="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`,
      `<path d="M${WIDTH - right + 12} ${legendY}h18" stroke="${colour}" stroke-width="3"/>`,
      text(WIDTH - right + 36, legendY + 5, label, 'start'),
    ].join('\n');
  });
  const axis = [
    text(left, top + height + 22, '0', 'middle'),
    text(WIDTH - right, top + height + 22, figure(mostX), 'middle'),
    text((left + WIDTH - right) / 2, top + height + 22, horizontal, 'middle'),
  ];
  return page(title, unit, top + height + 36, [...grid, ...drawn, ...axis]);
}

function page(title: string, unit: string, height: number, parts: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" ${FONT}>
<title>${escaped(title)}, ${escaped(unit)}</title>
<text x="12" y="24" font-weight="600" fill="${GREY}">${escaped(title)}<tspan font-weight="400">, ${escaped(unit)}</tspan></text>
${parts.join('\n')}
</svg>
`;
}

function text(x: number, y: number, content: string, anchor: 'start' | 'middle' | 'end'): string {
  return `<text x="${px(x)}" y="${px(y)}" text-anchor="${anchor}" fill="${GREY}">${escaped(content)}</text>`;
}

/** A coordinate; more digits than these cannot be seen. */
function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function figure(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)));
}

/** The next of 1, 2, 2.5, 5 times a power of ten. */
function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= value) ?? 10) * power;
}

function escaped(content: string): string {
  return content.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}
