import { Logger } from '@nestjs/common';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { MemoryAdmission, WARM_BYTES } from '../../../orchestrator/src/sandboxes/memory-admission.js';
import { FakeSandboxDriver } from '../../fakes/sandboxes/fake.driver.js';

const GIB = 1024 ** 3;

describe('memory for one more sandbox', () => {
  it('is made by giving up two at a time where one will not do', async () => {
    const driver = new FakeSandboxDriver();
    const memory = { hostFreeBytes: 0.5 * GIB, usedBytes: 4 * GIB };
    driver.faults.memory = memory;
    let [now, most] = [0, 0];
    const giveUpIdlest = async () => {
      now += 1;
      most = Math.max(most, now);
      await nextTurn();
      now -= 1;
      memory.hostFreeBytes += WARM_BYTES;
      return true;
    };
    const sources = { giveUpSpare: () => Promise.resolve(false), giveUpIdlest };
    const admission = new MemoryAdmission(driver, GIB, sources, new Logger());
    expect(await admission.reserveForUser()).toBe(true);
    expect(most).toBe(2);
    expect(memory.hostFreeBytes).toBeLessThan(GIB + 2 * WARM_BYTES);
  });

  it('is scarce a few starts before the floor', async () => {
    const driver = new FakeSandboxDriver();
    const sources = { giveUpSpare: () => Promise.resolve(false), giveUpIdlest: () => Promise.resolve(false) };
    const admission = new MemoryAdmission(driver, GIB, sources, new Logger());
    driver.faults.memory = { hostFreeBytes: GIB + 4 * WARM_BYTES, usedBytes: GIB };
    expect(await admission.isScarce()).toBe(false);
    driver.faults.memory = { hostFreeBytes: GIB + 4 * WARM_BYTES - 1, usedBytes: GIB };
    expect(await admission.isScarce()).toBe(true);
  });
});
