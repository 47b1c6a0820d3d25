import { afterEach, describe, expect, it } from 'vitest';
import { codeOf, run, source } from '../../contract/sandbox-driver.helpers.js';
import { FakeEngine, FakeSandboxDriver } from '../../fakes/sandboxes/fake.driver.js';
import { SandboxError } from '../../../orchestrator/src/sandboxes/sandbox.driver.js';

const spec = { memoryBytes: 1_000_000, dataBytes: 1_000_000, maxFiles: 10 };
const engine = new FakeEngine();
const driver = new FakeSandboxDriver({ engine });
afterEach(async () => {
  for (const { id } of await driver.list()) await driver.destroy(id);
});

describe('the knobs of the fake driver', () => {
  it('fail the next create, and only that', async () => {
    driver.faults.nextCreate = new SandboxError('start_failed', 'as told');
    expect(await codeOf(driver.create(spec))).toBe('start_failed');
    expect(await codeOf(driver.create(spec))).toBeUndefined();
    expect(driver.created).toHaveLength(2);
    expect(await driver.list()).toHaveLength(1);
  });

  it('delay the next create', async () => {
    driver.faults.delayNextCreate = 80;
    const beganAt = performance.now();
    await driver.create(spec);
    expect(performance.now() - beganAt).toBeGreaterThan(70);
  });

  it.each([
    ['nextPut', 'no_space'],
    ['nextGet', 'protocol'],
    ['nextClaim', 'gone'],
  ] as const)('fail the next call: %s', async (fault, code) => {
    const sandbox = await driver.create(spec);
    const call = {
      nextPut: () => sandbox.putFile('/mnt/data/a', source('x')),
      nextGet: () => sandbox.getFile('/mnt/data/a'),
      nextClaim: () => sandbox.claim(),
    }[fault];
    await sandbox.putFile('/mnt/data/a', source('x'));
    driver.faults[fault] = new SandboxError(code, 'as told');
    expect(await codeOf(call())).toBe(code);
    expect(await codeOf(call())).toBeUndefined();
  });

  it('fail the next attach and the next destroy', async () => {
    const { id } = await driver.create(spec);
    driver.faults.nextAttach = new SandboxError('gone', 'as told');
    expect(await codeOf(driver.attach(id))).toBe('gone');
    driver.faults.nextDestroy = new SandboxError('engine_unavailable', 'as told');
    expect(await codeOf(driver.destroy(id))).toBe('engine_unavailable');
    expect(await driver.list()).toHaveLength(1);
  });

  it('end a sandbox in the middle of an execution', async () => {
    const sandbox = await driver.create(spec);
    driver.faults.dieDuringExecute = true;
    const seen: string[] = [];
    const reading = (async () => {
      for await (const event of sandbox.execute('print:one\nprint:two', {
        timeoutMs: 1_000,
        maxOutputBytes: 100,
        maxImages: 1,
        maxImageBytes: 1,
      })) {
        seen.push(event.type === 'stdout' ? event.text : event.type);
      }
    })();
    expect(await codeOf(reading)).toBe('gone');
    expect(seen).toEqual(['one\n']);
    await sandbox.closed;
    expect((await driver.list())[0]?.state).toBe('dead');
  });

  it('make the host unfit, or short of memory', async () => {
    driver.faults.problems = ['The engine is on fire.'];
    expect(await driver.check()).toMatchObject({ ok: false, problems: ['The engine is on fire.'] });
    driver.faults.problems = [];
    driver.faults.memory = { usedBytes: 5, hostFreeBytes: 7 };
    expect(await driver.memory()).toEqual({ usedBytes: 5, hostFreeBytes: 7 });
  });
});

describe('the language of the fake', () => {
  it('runs line by line, and breaks lines at \\n', async () => {
    const sandbox = await driver.create(spec);
    const told = await run(
      sandbox,
      'print:a\\nb\n\n  result:3\nwrite:/mnt/data/x:one\\ntwo\ndisplay:<table>',
    );
    expect([told.stdout, told.result]).toEqual(['a\nb\n', '3']);
    expect(told.finished.files).toMatchObject([{ path: '/mnt/data/x', bytes: 7, change: 'created' }]);
  });

  it('takes Python for a syntax error, as data', async () => {
    const sandbox = await driver.create(spec);
    expect((await run(sandbox, 'import pandas')).error).toMatchObject({ name: 'SyntaxError' });
  });
});
