import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  judgeClone,
  repeats,
  type CloneFacts,
} from '../../../orchestrator/src/sandboxes/docker/clone-test.js';
import type { HostFacts } from '../../../orchestrator/src/sandboxes/docker/host-check.js';
import { TemplateStore } from '../../../orchestrator/src/sandboxes/docker/template-store.js';
import { Templates } from '../../../orchestrator/src/sandboxes/docker/templates.js';
import {
  type ExecutionEvent,
  type Sandbox,
  SandboxError,
  type SandboxSpec,
} from '../../../orchestrator/src/sandboxes/sandbox.driver.js';

const GIB = 1_073_741_824;
const SPEC: SandboxSpec = { memoryBytes: 4 * GIB, dataBytes: GIB, maxFiles: 10 };
const FACTS: HostFacts = {
  engine: {
    version: '20',
    apiVersion: '1.41',
    runtimes: ['ours'],
    runtimePaths: {},
    experimental: true,
    cgroups: { driver: 'cgroupfs', version: 1 },
  },
  imageId: 'sha256:1',
  annotations: false,
  probe: { isolation: 'gvisor', dataLimited: true, kernel: 'Linux', tellsOfCheckpoints: true },
};

/** A host whose clones answer what the test says. */
class World {
  readonly folder = mkdtempSync(join(tmpdir(), 'templates-'));
  readonly store = new TemplateStore(join(this.folder, 'kept'));
  readonly said: string[] = [];
  made = 0;
  clones = 0;
  destroyed = 0;
  /** What fails next, in order; `undefined` works. */
  failures: (Error | undefined)[] = [];
  answer = (clone: number): object => ({ random: [clone] });

  templates(): Templates {
    const say = (fields: object, message: string) =>
      void this.said.push(`${message} ${JSON.stringify(fields)}`);
    return new Templates({
      store: this.store,
      dataBytes: GIB,
      headroomBytes: 1_000,
      logger: { debug: say, info: say, warn: say, error: say },
      key: () => Promise.resolve('key'),
      writeDown: async (_host, _spec, take) => {
        this.made += 1;
        const image = join(this.folder, 'image');
        await mkdir(image, { recursive: true });
        await writeFile(join(image, 'checkpoint.img'), `state ${this.made}`);
        await writeFile(join(image, 'pages.img'), 'pages');
        return take(image);
      },
      clone: (_host, spec) => this.clone(spec),
      destroy: () => Promise.resolve(void (this.destroyed += 1)),
    });
  }

  private clone(spec: SandboxSpec): Promise<Sandbox> {
    const failure = this.failures.shift();
    if (failure !== undefined) return Promise.reject(failure);
    this.clones += 1;
    const number = this.clones;
    const text = () => {
      const right = { now: Date.now() / 1_000, memory: spec.memoryBytes, disk: GIB, files: [], user: 1_000 };
      return JSON.stringify({ ...right, ...this.answer(number) });
    };
    return Promise.resolve({
      claim: () => Promise.resolve(),
      async *execute(): AsyncGenerator<ExecutionEvent> {
        yield await Promise.resolve({ type: 'stdout', text: text() });
      },
    } as unknown as Sandbox);
  }
}

describe('the template', () => {
  let world: World;
  beforeEach(() => void (world = new World()));
  afterEach(() => rmSync(world.folder, { recursive: true, force: true }));

  it('is made and tested once, whoever asks first', async () => {
    const templates = world.templates();
    const found = await Promise.all([templates.current(FACTS, SPEC), templates.current(FACTS, SPEC)]);
    expect(found).toMatchObject(
      Array(2).fill({ folder: join(world.folder, 'kept', 'key'), imageId: 'sha256:1' }),
    );
    expect([world.made, world.clones, world.destroyed]).toEqual([1, 2, 2]);
    expect([world.said, templates.whyNot]).toEqual([[], undefined]);
  });

  it('that was kept is tested, not made again', async () => {
    await world.templates().current(FACTS, SPEC);
    expect(await world.templates().current(FACTS, SPEC)).toBeDefined();
    expect([world.made, world.clones]).toEqual([1, 4]);
  });

  it.each([
    ['does not start', () => [new SandboxError('start_failed', 'another gVisor')], undefined],
    ['sees another disk', () => [], { disk: 1 }],
  ] as const)('that was kept and %s is made again', async (_, failures, wrong) => {
    await world.templates().current(FACTS, SPEC);
    world.failures = [...failures()];
    world.answer = (clone) => ({ random: [clone], ...(clone === 3 ? wrong : {}) });
    expect(await world.templates().current(FACTS, SPEC)).toBeDefined();
    expect(world.made).toBe(2);
    const kept = readFileSync(join(world.folder, 'kept', 'key', 'checkpoint.img'), 'utf8');
    expect(kept).toBe('state 2');
    expect(world.said.join()).toContain('does not serve any more');
  });

  it('whose clones repeat each other is thrown away, with one line', async () => {
    world.answer = () => ({ random: [0.5] });
    const templates = world.templates();
    expect(await templates.current(FACTS, SPEC)).toBeUndefined();
    expect(await templates.current(FACTS, SPEC)).toBeUndefined();
    expect(world.said).toHaveLength(1);
    expect(templates.whyNot).toContain('same random numbers');
    expect(await world.store.find('key')).toBeUndefined();
    expect(world.destroyed).toBe(2);
  });

  it('is none for sandboxes with another data disk', async () => {
    const templates = world.templates();
    expect(await templates.current(FACTS, { ...SPEC, dataBytes: 5 })).toBeUndefined();
    expect(world.made).toBe(0);
  });

  it.each([
    ['experimental', { ...FACTS, engine: { ...FACTS.engine, experimental: false } }],
    ['too old', { ...FACTS, probe: { ...FACTS.probe, tellsOfCheckpoints: false } }],
    ['not gVisor', { ...FACTS, probe: { ...FACTS.probe, isolation: 'none' } }],
  ] as const)('is none where the host is %s', async (words, facts) => {
    const templates = world.templates();
    expect(await templates.current(facts, SPEC)).toBeUndefined();
    expect([world.made, world.said.length]).toEqual([0, 1]);
    expect(templates.whyNot).toContain(words);
  });

  it('is given up after three clones in a row that did not start', async () => {
    const templates = world.templates();
    const failed = () => templates.failed(new Error('no'));
    await templates.current(FACTS, SPEC);
    failed();
    failed();
    templates.worked();
    failed();
    failed();
    expect(await templates.current(FACTS, SPEC)).toBeDefined();
    failed();
    failed();
    expect(await templates.current(FACTS, SPEC)).toBeUndefined();
    expect(world.said).toHaveLength(1);
    // The next boot tries it again.
    expect(await world.templates().current(FACTS, SPEC)).toBeDefined();
  });

  it('is looked for again when the engine was away', async () => {
    const templates = world.templates();
    world.failures = [new SandboxError('engine_unavailable', 'away')];
    expect(await templates.current(FACTS, SPEC)).toBeUndefined();
    expect(world.said).toEqual([]);
    expect(await templates.current(FACTS, SPEC)).toBeDefined();
  });
});

describe('a clone', () => {
  const right: CloneFacts = {
    random: [1, null, 'a'],
    now: 100,
    memory: 50,
    disk: GIB,
    files: [],
    user: 1_000,
    askedAt: 100_000,
    answeredAt: 100_010,
  };

  it.each([
    [undefined, {}],
    [undefined, { now: 98.5 }],
    ['its clock is wrong', { now: 90 }],
    ['its clock is wrong', { now: 110 }],
    ['it sees more memory than it has', { memory: 61 }],
    ['the size of /mnt/data is another', { disk: GIB - 1 }],
    ['there are files in it', { files: ['of-somebody'] }],
    ['code runs as root', { user: 0 }],
  ])('is judged: %s', (verdict, changes) => {
    expect(judgeClone({ ...right, ...changes }, SPEC, 60)).toBe(verdict);
  });

  it('repeats another where one value is the same', () => {
    expect(repeats([right, { ...right, random: [2, null, 'b'] }])).toBe(false);
    expect(repeats([right, { ...right, random: [2, null, 'a'] }])).toBe(true);
  });
});
