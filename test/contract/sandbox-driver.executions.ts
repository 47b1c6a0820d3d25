/** The contract of `execute` and `restart`. */
import { describe, expect, it } from 'vitest';
import { MAX_CODE_CHARS } from '../../orchestrator/src/common/code-length.js';
import type { ExecutionEvent } from '../../orchestrator/src/sandboxes/sandbox.driver.js';
import { codeOf, LIMITS, run, tell, type Told } from './sandbox-driver.helpers.js';
import type { Bench } from './sandbox-driver.suite.js';

export function executionContract(bench: Bench): void {
  outputContract(bench);
  valueContract(bench);
  stateContract(bench);
  stoppingContract(bench);
  deathContract(bench);
}

const valueOf = ({ events }: Told): unknown => {
  const value = events.find((event) => event.type === 'value');
  return value && [value.from, JSON.parse(value.json.toString()) as unknown];
};
const BOUNDS = { returns: 'automatic', maxValueBytes: 4_000_000 } as const;

function valueContract({ harness, shared }: Bench): void {
  const { dialect } = harness;

  describe('values', () => {
    it.each([2, 1_500_000])('go in and come out, of %i characters', async (length) => {
      const inputs = Buffer.from(JSON.stringify({ given: { städte: 'ü'.repeat(length) }, other: [1, null] }));
      const told = await run(shared(), dialect.printInput('other'), {
        values: { ...BOUNDS, inputs, returns: 'none' },
      });
      expect(told.stdout).toBe('[1, null]\n');
      const back = await run(shared(), dialect.giveBack(`{"städte":"${'ü'.repeat(length)}"}`), {
        values: BOUNDS,
      });
      expect(valueOf(back)).toEqual(['result', { städte: 'ü'.repeat(length) }]);
    });

    it('that nobody asked for stay where they are', async () => {
      expect(valueOf(await run(shared(), dialect.giveBack('1')))).toBeUndefined();
      const values = { ...BOUNDS, returns: 'none' } as const;
      expect(valueOf(await run(shared(), dialect.giveBack('1'), { values }))).toBeUndefined();
    });

    it('that are too long are left out, and that is told', async () => {
      const values = { ...BOUNDS, maxValueBytes: 1_024 };
      const told = await run(shared(), dialect.giveBack(`"${'x'.repeat(2_000)}"`), { values });
      expect([valueOf(told), told.notices]).toEqual([undefined, ['value_dropped']]);
    });

    it('of code that raises are none', async () => {
      const code = `${dialect.giveBack('1')}\n${dialect.raise('ValueError', 'after all')}`;
      expect(valueOf(await run(shared(), code, { values: BOUNDS }))).toBeUndefined();
    });

    it('that are no JSON object are an error of the code, which then does not run', async () => {
      const values = { ...BOUNDS, inputs: Buffer.from('[1]') };
      const told = await run(shared(), dialect.print('ran'), { values });
      expect([told.error?.name, told.error?.value, told.stdout]).toEqual([
        'BadInput',
        'inputs is not a JSON object',
        '',
      ]);
    });
  });
}

function outputContract({ harness, shared }: Bench): void {
  const { dialect } = harness;

  describe('an execution', () => {
    it('tells what was printed, in order, and ends with `finished`', async () => {
      const told = await run(
        shared(),
        [dialect.print('one'), dialect.printError('two'), dialect.print('three')].join('\n'),
      );
      expect([told.stdout, told.stderr]).toEqual(['one\nthree\n', 'two\n']);
      const kinds = told.events.flatMap((event) =>
        event.type === 'stdout' || event.type === 'stderr' ? [event.type] : [],
      );
      expect([...new Set(kinds)]).toEqual(['stdout', 'stderr']);
      expect(told.finished).toMatchObject({
        status: 'completed',
        stateLost: false,
        files: [],
        filesTruncated: false,
      });
      expect(told.finished.durationMs).toBeLessThan(20_000);
      expect(told.finished.peakMemoryBytes).toBeGreaterThan(1_000_000);
    });

    it('tells the last value', async () => {
      expect((await run(shared(), dialect.result(42))).result).toBe('42');
    });

    it('tells an exception as data', async () => {
      const told = await run(shared(), dialect.raise('ValueError', 'no such luck'));
      expect(told.error).toMatchObject({ name: 'ValueError', value: 'no such luck' });
      expect(told.error?.traceback).toContain('ValueError: no such luck');
      expect(told.error?.traceback).not.toContain('\u001b');
      expect(told.finished.status).toBe('completed');
    });

    it('tells a program that is none the same way', async () => {
      expect((await run(shared(), '= no language of this world')).error?.name).toBe('SyntaxError');
    });

    it.each([1_048_577, MAX_CODE_CHARS])('may have %i characters', async (length) => {
      const last = `\n${dialect.print('at last')}`;
      const told = await run(shared(), `${' '.repeat(length - last.length)}${last}`);
      expect(told.stdout).toBe('at last\n');
    });

    it('is refused where the program is longer than that, and the next one runs', async () => {
      const code = `${' '.repeat(MAX_CODE_CHARS)}\n${dialect.print('never')}`;
      expect(await codeOf(run(shared(), code))).toBe('too_large');
      expect((await run(shared(), dialect.print('next'))).stdout).toBe('next\n');
    });

    it('may be empty', async () => {
      expect((await run(shared(), '')).finished.status).toBe('completed');
    });

    it('brings images', async () => {
      const images = (await run(shared(), dialect.image())).events.filter((event) => event.type === 'image');
      expect(images).toHaveLength(1);
      expect(images[0]?.mimeType).toBe('image/png');
      expect(images[0]?.data.subarray(1, 4).toString()).toBe('PNG');
    });

    it('is cut when it says too much, and says so', async () => {
      const told = await run(shared(), dialect.flood(2_000_000), { maxOutputBytes: 10_000 });
      expect(told.stdout.length).toBeLessThan(20_000);
      expect(told.stdout.length).toBeGreaterThan(1_000);
      expect(told.notices).toContain('output_truncated');
      expect(told.finished.status).toBe('completed');
    });

    it('may be a long program', async () => {
      const lines = Array.from({ length: 20_000 }, (_, i) => dialect.set('long_program', i));
      const told = await run(shared(), [...lines, dialect.printVariable('long_program')].join('\n'));
      expect(told.stdout).toBe('19999\n');
    });
  });
}

function stateContract({ harness, shared }: Bench): void {
  const { dialect } = harness;

  describe('variables', () => {
    it('stay from one execution to the next', async () => {
      await run(shared(), dialect.set('stays', 7));
      expect((await run(shared(), dialect.printVariable('stays'))).stdout).toBe('7\n');
    });

    it('are gone after a restart, unlike files', async () => {
      await run(shared(), `${dialect.set('goes', 7)}\n${dialect.write('/mnt/data/restart.txt', 'kept')}`);
      await shared().restart();
      expect((await run(shared(), dialect.printVariable('goes'))).error?.name).toBe('NameError');
      expect((await shared().listFiles()).entries.map(({ path }) => path)).toContain('/mnt/data/restart.txt');
      await shared().removeFile('/mnt/data/restart.txt');
    });
  });

  describe('executions of one sandbox', () => {
    it('run one after another, in the order of their calls', async () => {
      const order: string[] = [];
      const one = run(shared(), `${dialect.sleep(200)}\n${dialect.set('turn', 1)}`).then(() =>
        order.push('one'),
      );
      const two = run(shared(), dialect.printVariable('turn')).then((told) =>
        order.push(`two saw ${told.stdout.trim()}`),
      );
      await Promise.all([two, one]);
      expect(order).toEqual(['one', 'two saw 1']);
    });

    it('report the files that they touch, and only those', async () => {
      await run(
        shared(),
        `${dialect.write('/mnt/data/a.txt', 'a')}\n${dialect.write('/mnt/data/b.txt', 'b')}`,
      );
      const code = [
        dialect.write('/mnt/data/a.txt', 'changed'),
        dialect.remove('/mnt/data/b.txt'),
        dialect.write('/mnt/data/c.txt', 'new'),
      ].join('\n');
      const { files } = (await run(shared(), code)).finished;
      const changes = files.map(({ path, change, bytes }) => [
        path,
        change,
        change === 'deleted' ? 0 : bytes,
      ]);
      expect(changes.sort(([a], [b]) => String(a).localeCompare(String(b)))).toEqual([
        ['/mnt/data/a.txt', 'modified', 7],
        ['/mnt/data/b.txt', 'deleted', 0],
        ['/mnt/data/c.txt', 'created', 3],
      ]);
      const created = files.find(({ change }) => change === 'created');
      expect(Math.abs((created?.modifiedAtMs ?? 0) - Date.now())).toBeLessThan(60_000);
      await run(shared(), `${dialect.remove('/mnt/data/a.txt')}\n${dialect.remove('/mnt/data/c.txt')}`);
    });
  });
}

function stoppingContract({ harness, shared }: Bench): void {
  const { dialect } = harness;

  describe('stopping', () => {
    it('happens at the time limit, and keeps variables where it can', async () => {
      const code = [dialect.set('before', 5), dialect.print('begun'), dialect.sleep(60_000)].join('\n');
      const told = await run(shared(), code, { timeoutMs: 500 });
      expect(told.finished).toMatchObject({ status: 'timed_out', stateLost: false });
      expect(told.finished.durationMs).toBeGreaterThanOrEqual(450);
      expect(told.stdout).toBe('begun\n');
      expect(told.notices).toContain('timeout');
      expect((await run(shared(), dialect.printVariable('before'))).stdout).toBe('5\n');
    });

    it('loses the variables of code that will not stop', async () => {
      const told = await run(shared(), `${dialect.set('before', 6)}\n${dialect.stubborn(60_000)}`, {
        timeoutMs: 300,
      });
      expect(told.finished).toMatchObject({ status: 'timed_out', stateLost: true });
      expect(told.notices).toContain('state_lost');
      expect((await run(shared(), dialect.printVariable('before'))).error?.name).toBe('NameError');
    });

    it('happens on abort', async () => {
      const controller = new AbortController();
      setTimeout(() => controller.abort(), 300);
      const told = await run(shared(), dialect.sleep(60_000), { signal: controller.signal });
      expect(told.finished.status).toBe('interrupted');
    });

    it('happens before the first line when aborted beforehand', async () => {
      const code = dialect.write('/mnt/data/never.txt', '');
      const told = await run(shared(), code, { signal: AbortSignal.abort() });
      expect(told.events).toHaveLength(1);
      expect(told.finished).toMatchObject({ status: 'interrupted', stateLost: false });
      expect((await shared().listFiles()).entries).toEqual([]);
    });

    it('takes an execution out of the line', async () => {
      const controller = new AbortController();
      const first = run(shared(), dialect.sleep(400));
      const second = run(shared(), dialect.write('/mnt/data/never.txt', ''), { signal: controller.signal });
      controller.abort();
      expect((await second).finished.status).toBe('interrupted');
      expect((await first).finished.status).toBe('completed');
      expect((await shared().listFiles()).entries).toEqual([]);
    });

    it('happens when the reader leaves', async () => {
      const code = `${dialect.print('first')}\n${dialect.sleep(60_000)}`;
      const seen: ExecutionEvent[] = [];
      for await (const event of shared().execute(code, LIMITS)) {
        seen.push(event);
        break;
      }
      expect(seen).toEqual([{ type: 'stdout', text: 'first\n' }]);
      const told = await run(shared(), dialect.print('next'), { timeoutMs: 5_000 });
      expect(told.stdout).toBe('next\n');
    });

    it('happens on restart', async () => {
      const running = run(shared(), dialect.sleep(60_000));
      await new Promise((resolve) => setTimeout(resolve, 200));
      await shared().restart();
      expect((await running).finished.status).toBe('interrupted');
    });
  });
}

function deathContract({ harness, shared }: Bench): void {
  const { dialect } = harness;

  describe('a kernel that dies', () => {
    it.each([
      ['by itself', 'kernel_died', dialect.kernelDies()],
      ['for want of memory', 'out_of_memory', dialect.outOfMemory()],
    ] as const)('%s loses variables, keeps files, and is replaced', async (_, status, deadly) => {
      await run(shared(), `${dialect.set('lost', 1)}\n${dialect.write('/mnt/data/kept.txt', 'kept')}`);
      const told = await run(shared(), `${dialect.print('last words')}\n${deadly}`);
      expect(told.finished).toMatchObject({ status, stateLost: true });
      expect(told.stdout).toBe('last words\n');
      expect(told.notices).toContain(status);
      expect((await run(shared(), dialect.printVariable('lost'))).error?.name).toBe('NameError');
      await shared().removeFile('/mnt/data/kept.txt');
    });

    it('may end while nobody listens', async () => {
      const events: ExecutionEvent[] = [];
      const stream = shared().execute(`${dialect.print('x')}\n${dialect.kernelDies()}`, LIMITS);
      await new Promise((resolve) => setTimeout(resolve, 300));
      for await (const event of stream) events.push(event);
      expect(tell(events).finished.status).toBe('kernel_died');
    });
  });
}
