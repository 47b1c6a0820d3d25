/** The pictures of docs/performance.md, as SVG files. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';

const WIDTH = 560;

/** What all of them share; readable on light and on dark pages. */
const CONFIG: TopLevelSpec['config'] = {
  background: 'white',
  padding: 12,
  font: 'sans-serif',
  view: { stroke: null },
  axis: { grid: true, gridColor: '#e6e6e6', domainColor: '#888888', labelLimit: 400 },
  legend: { labelLimit: 300 },
  range: { category: ['#0b6e99', '#d9730d', '#448361', '#9065b0', '#787774'] },
};

export interface Plot {
  readonly file: string;
  readonly spec: TopLevelSpec;
}

type Values = readonly Readonly<Record<string, string | number>>[];
const data = (values: Values) => ({ values: [...values] });
const number = (field: string, title: string, scale?: object) =>
  ({ field, type: 'quantitative', title, ...(scale && { scale }) }) as const;
const name = (field: string, title?: string) =>
  ({ field, type: 'nominal', title: title ?? null, sort: null }) as const;

/** Lines with points, one for each `kind`. */
export const lines = (file: string, values: Values, x: string, y: string): Plot => ({
  file,
  spec: {
    width: WIDTH,
    height: 260,
    data: data(values),
    mark: { type: 'line', point: true },
    encoding: { x: number('x', x), y: number('y', y), color: name('kind') },
  },
});

/** One distribution for each `kind` in each `group`: box, whiskers to the extremes. */
export const boxes = (file: string, values: Values, group: string, y: string): Plot => ({
  file,
  spec: {
    width: WIDTH,
    height: 260,
    data: data(values),
    mark: { type: 'boxplot', extent: 'min-max', size: 14 },
    encoding: {
      x: { ...name('group', group), axis: { labelAngle: 0 } },
      xOffset: name('kind'),
      y: number('y', y),
      color: name('kind'),
    },
  },
});

/** One bar for each `kind` in each `group`, on a logarithmic scale where values are of different orders. */
export const bars = (file: string, values: Values, x: string, isLogarithmic: boolean): Plot => ({
  file,
  spec: {
    width: WIDTH,
    height: { step: 20 },
    data: data(values),
    mark: 'bar',
    encoding: {
      y: { ...name('group') },
      yOffset: name('kind'),
      x: {
        ...number('x', x, isLogarithmic ? { type: 'log' } : undefined),
        ...(isLogarithmic && { stack: null }),
      },
      color: name('kind'),
      ...(isLogarithmic && { x2: { datum: 1 } }),
    },
  } as TopLevelSpec,
});

export async function draw(folder: string, plots: readonly Plot[]): Promise<void> {
  mkdirSync(folder, { recursive: true });
  for (const { file, spec } of plots) {
    const { spec: vega } = compile({ ...spec, config: CONFIG });
    const view = new View(parse(vega), { renderer: 'none' });
    writeFileSync(join(folder, file), `${await view.toSVG()}\n`);
    view.finalize();
  }
}
