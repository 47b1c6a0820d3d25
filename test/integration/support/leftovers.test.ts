import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { startEmbeddedPostgres } from '../../../orchestrator/src/database/embedded-postgres.js';
import { removeLeftovers } from '../../support/leftovers.js';

const folder = mkdtempSync(join(tmpdir(), 'ci-leftovers-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const pidOfTheDead = (): number => spawnSync('true').pid;

describe('what a killed run of tests left', () => {
  it('goes once, however many processes look for it at the same time', { timeout: 120_000 }, async () => {
    const dataDir = mkdtempSync(join(folder, `code-interpreter-server-${pidOfTheDead()}-`));
    const alive = mkdtempSync(join(folder, `code-interpreter-server-${process.pid}-`));
    await startEmbeddedPostgres({ dataDir, log: () => undefined });
    await Promise.all([1, 2, 3].map(() => removeLeftovers(folder)));
    expect(readdirSync(folder).map((name) => join(folder, name))).toEqual([alive]);
  });
});
