/** Every wall of .dependency-cruiser.mjs stands: a house that breaks a rule is told so, by that rule. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, '../../..');
const TIMEOUT_MS = 240_000;

interface Walls {
  readonly default: { readonly forbidden: readonly { readonly name: string; readonly comment: string }[] };
}
const CONFIG = join(ROOT, '.dependency-cruiser.mjs');
const { forbidden } = ((await import(pathToFileURL(CONFIG).href)) as Walls).default;

type House = Readonly<Record<string, string>>;

/** Rooms that exist whatever else a test builds, so that every import below leads somewhere. */
const ROOMS: House = {
  'orchestrator/tsconfig.json':
    '{ "compilerOptions": { "module": "nodenext", "moduleResolution": "nodenext" } }',
  'orchestrator/src/common/ids.ts': 'export const id = 1;',
  'orchestrator/src/app.module.ts': 'export const app = 1;',
  'orchestrator/src/database/prisma.service.ts': 'export const prisma = 1;',
  'orchestrator/src/sandboxes/sandbox.driver.ts': 'export const port = 1;',
  'orchestrator/src/sandboxes/docker/docker.driver.ts':
    "import '../sandbox.driver.js'; export const docker = 1;",
  'orchestrator/src/files/files.service.ts': 'export const service = 1;',
  'orchestrator/src/files/file.schema.ts': 'export const schema = 1;',
  'orchestrator/src/files/file.lookup.ts': 'export const lookup = 1;',
  'orchestrator/src/files/file.repository.ts':
    "import '../database/prisma.service.js'; export const rows = 1;",
  'orchestrator/src/responses/response.types.ts': 'export const words = 1;',
  'orchestrator/src/responses/response.presenter.ts': 'export const shown = 1;',
  'orchestrator/src/responses/record/sequencer.ts':
    "import '../response.types.js'; export const numbers = 1;",
  'orchestrator/src/responses/context/messages.ts':
    "import '../record/sequencer.js'; export const texts = 1;",
  'orchestrator/src/responses/run/response-run.ts': 'export const run = 1;',
  'orchestrator/src/responses/background/resume.ts': 'export const resumed = 1;',
  'nodes/Files/Files.node.ts': 'export const node = 1;',
  'test/fake.ts': 'export const fake = 1;',
};

/** What is allowed, next to the rules that forbid its neighbours. */
const GOOD: House = {
  'orchestrator/src/containers/containers.service.ts':
    "import '../files/files.service.js'; import '../files/file.schema.js'; import '../files/file.lookup.js'; import '../sandboxes/sandbox.driver.js'; import '../common/ids.js';",
  'orchestrator/src/containers/container.state.ts': "import '../common/ids.js';",
  'orchestrator/src/sandboxes/sandboxes.module.ts': "import './docker/docker.driver.js';",
  'orchestrator/src/responses/run/turn.ts':
    "import '../context/messages.js'; import '../response.presenter.js'; import './response-run.js';",
  'orchestrator/src/responses/background/background.service.ts':
    "import '../run/response-run.js'; import './resume.js';",
  'orchestrator/src/responses/responses.service.ts':
    "import './background/resume.js'; import './response.presenter.js';",
  'test/unit.test.ts': "import '../orchestrator/src/files/file.repository.js'; import './fake.js';",
};

/** Each breaks one rule. */
const BAD: Readonly<Record<string, House>> = {
  'no-cycles': {
    'orchestrator/src/uploads/a.ts': "import { b } from './b.js'; export const a = b;",
    'orchestrator/src/uploads/b.ts': "import { a } from './a.js'; export const b = a;",
  },
  'only-what-is-there': { 'orchestrator/src/uploads/lost.ts': "import './nowhere.js';" },
  'node-package-is-an-island': {
    'nodes/Files/transport.ts': "import '../../orchestrator/src/common/ids.js';",
  },
  'server-knows-no-client': { 'orchestrator/src/uploads/fake.ts': "import '../../../test/fake.js';" },
  'features-meet-at-the-service': {
    'orchestrator/src/containers/thief.service.ts': "import '../files/file.repository.js';",
  },
  'schemas-are-words': { 'orchestrator/src/uploads/upload.schema.ts': "import '../files/files.service.js';" },
  'responses-ground-floor': {
    'orchestrator/src/responses/record/climber.ts': "import '../context/messages.js';",
  },
  'responses-first-floor': {
    'orchestrator/src/responses/context/climber.ts': "import '../run/response-run.js';",
  },
  'responses-second-floor': {
    'orchestrator/src/responses/run/climber.ts': "import '../background/resume.js';",
  },
  'responses-top-floor': {
    'orchestrator/src/responses/compaction/neighbour.ts': "import '../background/resume.js';",
  },
  'drivers-know-no-feature': {
    'orchestrator/src/storage/callback.ts': "import '../files/files.service.js';",
  },
  'adapters-are-chosen-at-the-root': {
    'orchestrator/src/containers/choosy.service.ts': "import '../sandboxes/docker/docker.driver.js';",
  },
  'nobody-imports-the-root': { 'orchestrator/src/uploads/climber.ts': "import '../app.module.js';" },
  'common-and-config-are-leaves': {
    'orchestrator/src/common/helper.ts': "import '../sandboxes/sandbox.driver.js';",
  },
  'controllers-are-thin': { 'orchestrator/src/files/files.controller.ts': "import './file.repository.js';" },
  'state-tables-are-pure': { 'orchestrator/src/uploads/upload.state.ts': "import 'node:timers';" },
  'prisma-behind-repositories': {
    'orchestrator/src/uploads/greedy.service.ts': "import '../database/prisma.service.js';",
  },
  'dockerode-behind-docker-driver': { 'orchestrator/src/uploads/keys.ts': "import 'dockerode';" },
  'bullmq-behind-queues': { 'orchestrator/src/uploads/queue.ts': "import 'bullmq';" },
  'openai-client-behind-its-adapter': { 'orchestrator/src/uploads/model.ts': "import 'openai';" },
};

interface Report {
  readonly summary: {
    readonly violations: readonly { readonly from: string; readonly rule: { readonly name: string } }[];
  };
}

describe('the walls between the rooms', () => {
  let house = '';
  let broken: Report['summary']['violations'] = [];

  beforeAll(async () => {
    house = await mkdtemp(join(tmpdir(), 'walls-'));
    await symlink(join(ROOT, 'node_modules'), join(house, 'node_modules'));
    const files = Object.entries({ ...ROOMS, ...GOOD, ...Object.assign({}, ...Object.values(BAD)) });
    for (const [path, text] of files as [string, string][]) {
      await mkdir(dirname(join(house, path)), { recursive: true });
      await writeFile(join(house, path), text);
    }
    const args = ['--no-progress', '--no-cache', '--config', CONFIG, '--output-type', 'json'];
    const found = await run(
      join(ROOT, 'node_modules/.bin/depcruise'),
      [...args, 'nodes', 'orchestrator/src', 'test'],
      {
        cwd: house,
        maxBuffer: 64 * 1024 * 1024,
      },
    ).catch((error: { stdout: string }) => error);
    broken = (JSON.parse(found.stdout) as Report).summary.violations;
  }, TIMEOUT_MS);

  afterAll(() => rm(house, { recursive: true, force: true }));

  const rulesBrokenBy = (files: House): string[] =>
    [...new Set(broken.filter(({ from }) => from in files).map(({ rule }) => rule.name))].toSorted();

  it('has an offence here for every rule, and a reason beside every rule', () => {
    expect(Object.keys(BAD).toSorted()).toEqual(forbidden.map(({ name }) => name).toSorted());
    for (const { name, comment } of forbidden) expect(comment, name).toMatch(/\w{3}.*\.$/s);
  });

  it.each(Object.entries(BAD))('%s', (rule, files) => {
    expect(rulesBrokenBy(files)).toContain(rule);
  });

  it('lets through what is allowed', () => {
    expect(rulesBrokenBy({ ...ROOMS, ...GOOD })).toEqual([]);
  });
});
