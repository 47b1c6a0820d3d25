/** docs/performance.md and its pictures, from what was measured. */
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { median, type Row } from './measure.js';
import { bars, boxes, draw, lines, type Plot } from './plots.js';
import type { Loop, Peer } from './steps-peers.js';
import type { Nap } from './steps-sleep.js';
import type { Starts } from './steps-starts.js';

const DOCS = resolve(import.meta.dirname, '../docs');
const PICTURES = join(DOCS, 'images/performance');

export interface Step {
  readonly name: string;
  /** How busy the machine was before it, and how long that was waited for. */
  readonly busy_share: number;
  readonly waited_ms: number;
  readonly seconds: number;
  readonly load: readonly number[];
  readonly rows: readonly Row[];
  readonly detail?: unknown;
}

export interface PerformanceReport {
  readonly at: string;
  readonly load_average: { readonly before: readonly number[]; readonly after: readonly number[] };
  readonly machine: Readonly<Record<string, unknown>>;
  readonly steps: readonly Step[];
}

/** What `npm run bench` writes, as far as it is shown. */
export interface LatestReport {
  readonly at: string;
  readonly rows: readonly Row[];
}

interface Details {
  readonly starts: readonly Starts[];
  readonly peers: readonly Peer[];
  readonly naps: readonly Nap[];
  readonly loops: readonly Loop[];
}

function detailsOf({ steps }: PerformanceReport): Details {
  const named = (start: string) =>
    steps.filter(({ name }) => name.startsWith(start)).map(({ detail }) => detail);
  return {
    starts: named('starts ') as Starts[],
    peers: named('peer: ') as Peer[],
    naps: named('sleep').flat() as Nap[],
    loops: named('loops').flat() as Loop[],
  };
}

const SECOND = 1_000;
/** Share of the processors at work from which a step's surroundings are told. */
const BUSY = 0.1;
function plots({ starts, peers, naps, loops }: Details): Plot[] {
  const all = starts.map(({ mode, count, all: ms }) => ({ kind: mode, x: count, y: ms / SECOND }));
  const each = starts.flatMap(({ mode, count, each: times }) =>
    times.map((ms) => ({ kind: mode, group: count, y: ms / SECOND })),
  );
  const nap = naps.flatMap(({ frame, hibernate, wake }) => [
    { kind: 'falling asleep', x: frame, y: median(hibernate) / SECOND },
    { kind: 'waking, to the first result', x: frame, y: median(wake) / SECOND },
  ]);
  const compared = peers.flatMap(({ name, first, further }) => [
    { group: name, kind: 'first result', x: median(first) },
    { group: name, kind: 'a further 1+1', x: median(further) },
  ]);
  const looped = loops.flatMap(({ name, gvisor, runc }) => [
    { group: name, kind: 'gVisor', x: median(gvisor) / median(runc) },
    { group: name, kind: 'runc', x: 1 },
  ]);
  return [
    lines('starts.svg', all, 'containers', 'seconds until all have answered'),
    boxes('waits.svg', each, 'containers', 'seconds to the first result'),
    lines('sleep.svg', nap, 'MB of the DataFrame', 'seconds'),
    bars('peers.svg', compared, 'milliseconds (logarithmic)', true),
    bars('loops.svg', looped, 'times as long as in runc', false),
  ];
}

function show(ms: number): string {
  if (ms >= 10 * SECOND) return `${(ms / SECOND).toFixed(1)} s`;
  if (ms >= SECOND) return `${(ms / SECOND).toFixed(2)} s`;
  return ms >= 100 ? `${ms.toFixed(0)} ms` : `${ms.toFixed(1)} ms`;
}

const shown = (value: number, unit: Row['unit']): string =>
  unit === 'ms' ? show(value) : `${value.toFixed(0)} ${unit}`;

/** Rows that are parts of the one above them are set off. */
function table(rows: readonly Row[]): string {
  const body = rows.map(({ name, unit, n, median, p95, note }) => {
    const words = name.startsWith(' ') ? `… ${name.trim()}` : name;
    const last = n > 1 ? shown(p95, unit) : '';
    return `| ${words.replaceAll('|', '\\|')} | ${shown(median, unit)} | ${last} | ${n} | ${note ?? ''} |`;
  });
  return ['| | median | p95 | n | |', '| --- | ---: | ---: | ---: | --- |', ...body].join('\n');
}

const picture = (file: string, words: string): string => `![${words}](images/performance/${file})`;

function page(report: PerformanceReport, latest: LatestReport): string {
  const rows = (...starts: string[]): string =>
    table(
      report.steps
        .filter(({ name }) => starts.some((start) => name.startsWith(start)))
        .flatMap((step) => step.rows),
    );
  const { cpu, cpus, memory_mb: memory, kernel, docker, runsc, node, commit } = report.machine;
  const busy = report.steps.filter(({ busy_share: share }) => share > BUSY).map(({ name }) => name);
  return `# Performance

Made by \`npm run bench\`, \`npm run bench -- --performance\` and the last with \`--asleep N\`; do not edit. Numbers of one
small machine: compare them with each other, and measure your own with the same commands.

${String(cpus)} processors (${String(cpu)}), ${Math.round(Number(memory) / 1_024)} GB of memory, Linux ${String(kernel)}, Docker ${String(docker)},
gVisor ${String(runsc)}, Node ${String(node)}; ${report.at.slice(0, 10)}, commit ${String(commit)}. Each step waits until the machine is quiet${busy.length === 0 ? '' : `; it was not before: ${busy.join(', ')}`}.

## How long a new container takes

From the request for a container to the result of its first \`1+1\`, over HTTP, with an empty pool: each is a clone of the
template. With a warm pool the first ones are there at once (see the table at the end). "Staggered" asks every 200 ms;
"burst" asks for all in the same moment, and the server starts as many at a time as there are processors. The memory
pool of the project is made larger than the default, which a hundred containers would use up; where the machine's own
memory is short, the ones that were used longest ago fall asleep first, which takes part of the time.

${picture('starts.svg', 'Seconds until all containers have answered, by their number')}

${picture('waits.svg', 'Seconds to the first result of each container, by their number')}

${rows('starts ')}

## Many containers at once

${rows('awake', 'asleep')}

## Sleep

What falling asleep and waking take by the size of what the code holds: random numbers, which cannot be made smaller.

${picture('sleep.svg', 'Seconds to fall asleep and to wake, by the size of the DataFrame')}

${rows('sleep')}

## What else runs Python in gVisor

On the same engine, with the same image and network (none), one after the other. The first result includes the import
of numpy, pandas and matplotlib. The Kernel Gateway is asked from inside its container, so that no network is part of
its times; this server is asked over HTTP and writes each execution to disk before it answers; llm-sandbox copies a file
and starts a Python for each execution, which keeps no variables.

${picture('peers.svg', 'First result and a further execution, by what runs it')}

${rows('peer: ')}

## What gVisor costs

The same loop in the same image, in gVisor and in runc.

${picture('loops.svg', 'Time in gVisor as a multiple of that in runc')}

${rows('loops')}

## Everything else

${latest.at.slice(0, 10)}, by \`npm run bench\`.

${table(latest.rows)}
`;
}

export async function writePage(report: PerformanceReport, latest: LatestReport): Promise<void> {
  await draw(PICTURES, plots(detailsOf(report)));
  const file = join(DOCS, 'performance.md');
  const style = await resolveConfig(file);
  writeFileSync(file, await format(page(report, latest), { ...style, parser: 'markdown' }));
}
