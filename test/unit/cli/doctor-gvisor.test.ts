import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkGvisor, gvisorFinding } from '../../../orchestrator/src/cli/doctor-gvisor.js';

const at = (day: string): number => Date.parse(`${day}T12:00:00Z`);

describe('what the doctor says of gVisor', () => {
  test.each([
    ['2026-09-05', 'of 2026-09-05, 0 days old (/opt/runsc)'],
    ['2026-09-06', 'of 2026-09-05, 1 day old (/opt/runsc)'],
    ['2026-11-29', 'of 2026-09-05, 12 weeks old (/opt/runsc)'],
    ['2027-02-05', 'of 2026-09-05, 5 months old (/opt/runsc)'],
  ])('a current one on %s', (today, says) => {
    const facts = {
      path: '/opt/runsc',
      version: 'runsc version release-20260905.0',
      isCurrent: true,
    };
    expect(gvisorFinding(facts, at(today))).toEqual({ name: 'gVisor', state: 'ok', says });
  });

  test('one without what we make use of works, and says what it costs', () => {
    const facts = { path: '/usr/bin/runsc', version: 'runsc version 0.0~20240729.0', isCurrent: false };
    const { state, says, repair } = gvisorFinding(facts, at('2026-11-29'));
    expect(state).toBe('note');
    expect(says).toBe(
      'of 2024-07-29, 28 months old (/usr/bin/runsc): works, but each idle sandbox takes about 3 % of a core, a call some 3 ms more, a start a third more',
    );
    expect(repair).toMatch(/^scripts\/engine runsc --again/);
  });

  test('one that has aged names the fixes it lacks', () => {
    const facts = {
      path: '/opt/runsc',
      version: 'runsc version release-20260905.0',
      isCurrent: true,
    };
    expect(gvisorFinding(facts, at('2027-09-10')).says).toContain('security fixes');
  });

  test('one built without its name is judged by what it can do', () => {
    const facts = { path: '/opt/runsc', version: 'runsc version VERSION_MISSING', isCurrent: true };
    const { state, says } = gvisorFinding(facts, at('2026-11-29'));
    expect([state, says]).toEqual(['ok', 'runsc version VERSION_MISSING (/opt/runsc)']);
  });

  describe('asked for real', () => {
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'doctor-'));
    });
    afterAll(() => rm(folder, { recursive: true }));

    const program = async (name: string, text: string): Promise<string> => {
      const path = join(folder, name);
      await writeFile(path, `#!/bin/sh\n${text}\n`);
      await chmod(path, 0o755);
      return path;
    };

    test('it is asked for its version', async () => {
      const [finding] = await checkGvisor(
        await program('runsc', 'echo "runsc version release-20991231.0"'),
        true,
      );
      expect(finding).toMatchObject({
        state: 'ok',
        says: expect.stringContaining('of 2099-12-31') as string,
      });
    });

    test('one that does not run is a problem with its repair', async () => {
      const [finding] = await checkGvisor(await program('broken', 'exit 1'), false);
      expect(finding).toMatchObject({ state: 'problem', repair: 'scripts/engine runsc' });
    });

    test('none in sight is no finding', async () => {
      expect(await checkGvisor('', false)).toEqual([]);
    });
  });
});
