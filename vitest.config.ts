import { defineConfig } from 'vitest/config';

/** Files that sleep most of their time; they run beside the others. */
const WAITS = ['test/contract/expiry.test.ts', 'test/contract/background-crash.test.ts'];

/** Files that measure time, memory or the counters of PostgreSQL: they run one after another, when the others are done. */
const MEASURES = [
  'admin/filled-database',
  'database/full-disk',
  'files/streaming',
  'http/edge-bodies',
  'http/edge-connections',
  'responses/crowd',
].map((name) => `test/integration/${name}.test.ts`);

/** What must also hold on the gVisor of Debian, which machines without a Go module proxy get. */
const OLDER_GVISOR = [
  'test/contract/sandbox-driver.docker.test.ts',
  'test/security/sandbox/{isolation,known-bad,network}.test.ts',
];

/** Files follow each other in one process, which saves seconds for each: what a file changes there, it puts back. */
const SHARED_PROCESS = { isolate: false } as const;

/** Every operation, a trigger, the tool of an agent. */
const BETWEEN = ['package', 'containers', 'files', 'responses', 'run-code', 'agent', 'triggers'];

/** The versions of n8n, and what is done in them. 1.123 has another editor, and no such version of the OpenAI nodes. */
const E2E: ReadonlyMap<string, readonly string[]> = new Map([
  ['e2e', ['*']],
  ['e2e-1.123', ['!(browser|journey|openai-nodes)']],
  ['e2e-2.0', BETWEEN],
  ['e2e-2.20', BETWEEN],
]);

/** One project per tier; `scripts/test` says which run when. Everything but `unit` uses real parts. */
export default defineConfig({
  test: {
    projects: [
      { test: { ...SHARED_PROCESS, name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      {
        test: {
          ...SHARED_PROCESS,
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          exclude: MEASURES,
          testTimeout: 60_000,
          hookTimeout: 120_000,
          // Most of them mostly wait.
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'integration-alone',
          include: MEASURES,
          testTimeout: 60_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...SHARED_PROCESS,
          name: 'contract',
          include: ['test/contract/**/*.test.ts'],
          exclude: WAITS,
          globalSetup: ['test/support/shared-server.ts'],
          testTimeout: 240_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'waits',
          include: WAITS,
          globalSetup: ['test/support/shared-server.ts'],
          testTimeout: 240_000,
          hookTimeout: 180_000,
          // The two sleep beside each other, too.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'examples',
          include: ['test/examples/**/*.test.ts'],
          globalSetup: ['test/support/shared-server.ts'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          ...SHARED_PROCESS,
          name: 'security',
          include: ['test/security/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          ...SHARED_PROCESS,
          name: 'older-gvisor',
          include: OLDER_GVISOR,
          env: { TEST_OLDER_GVISOR: '1' },
          testTimeout: 240_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'load',
          include: ['test/load/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'soak',
          include: ['test/soak/**/*.test.ts'],
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'faults',
          include: ['test/faults/faults.test.ts'],
        },
      },
      {
        test: {
          name: 'engine-faults',
          include: ['test/faults/engine-faults.test.ts'],
        },
      },
      ...[...E2E].map(([name, files]) => ({
        test: {
          ...SHARED_PROCESS,
          name,
          include: files.map((file) => `test/e2e/${file}.test.ts`),
          globalSetup: ['test/e2e/support/stage.ts'],
          testTimeout: 120_000,
          hookTimeout: 300_000,
          fileParallelism: false,
        },
      })),
    ],
  },
});
