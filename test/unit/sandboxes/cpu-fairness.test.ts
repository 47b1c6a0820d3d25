import { afterEach, describe, expect, it } from 'vitest';
import type { CpuCgroup } from '../../../orchestrator/src/sandboxes/docker/cpu-cgroup.js';
import { CpuFairness } from '../../../orchestrator/src/sandboxes/docker/cpu-fairness.js';

/** A cgroup that remembers what it was told. */
class FakeCgroup {
  ms = 0;
  cpus = 0;
  looks = 0;
  givesWay: boolean | undefined;
  limited: number | undefined;
  writable = true;

  usedMs(): number {
    this.looks += 1;
    return this.ms;
  }

  giveWay(givesWay: boolean): boolean {
    if (this.writable) this.givesWay = givesWay;
    return this.writable;
  }

  limit(cpus?: number): void {
    this.limited = cpus;
  }
}

/** Two CPUs and a clock of its own. */
class Host {
  now = 1_000;
  idleMs = 0;
  refusals = 0;
  readonly all = new Map<string, FakeCgroup>();
  readonly fairness = new CpuFairness(
    {
      count: 2,
      usedMs: () => [...this.all.values()].reduce((sum, { ms }) => sum + ms, 0),
      idleMs: () => this.idleMs,
    },
    () => void (this.refusals += 1),
  );

  add(id: string, cpus = 0): FakeCgroup {
    const cgroup = new FakeCgroup();
    cgroup.cpus = cpus;
    this.all.set(id, cgroup);
    this.fairness.add(id, cgroup as unknown as CpuCgroup, this.now);
    return cgroup;
  }

  pass(seconds: number, idleCpus = 1): void {
    for (let ms = 0; ms < seconds * 1_000; ms += 250) {
      this.now += 250;
      this.idleMs += idleCpus * 250;
      for (const cgroup of this.all.values()) cgroup.ms += cgroup.cpus * 250;
      this.fairness.look(this.now);
    }
  }
}

describe('sandboxes on busy CPUs', () => {
  let host: Host;
  const start = () => (host = new Host());
  afterEach(() => host.fairness.close());

  it('begin with full weight, whatever they were left with', () => {
    expect(start().add('a').givesWay).toBe(false);
  });

  it('give way after long computing, and have their weight back when they rest', () => {
    const [burning, light] = [start().add('burning', 1), host.add('light', 0.1)];
    host.pass(2);
    expect([burning.givesWay, light.givesWay]).toEqual([true, false]);
    burning.cpus = 0;
    host.pass(3);
    expect([burning.givesWay, burning.limited]).toEqual([false, undefined]);
  });

  it('may have all there is as long as they are alone', () => {
    const burning = start().add('burning', 1.5);
    host.add('idle');
    host.pass(10);
    expect([burning.givesWay, burning.limited]).toEqual([true, undefined]);
  });

  it('make room at the moment another wants to compute, and for a while', () => {
    const burning = start().add('burning', 1.5);
    host.add('other');
    host.pass(5);
    host.fairness.wants('other', host.now);
    expect(burning.limited).toBe(0.75);
    host.pass(1);
    expect(burning.limited).toBe(0.75);
    host.pass(2);
    expect(burning.limited).toBeUndefined();
  });

  it('share what is left when they are many', () => {
    const burning = [start().add('a', 0.7), host.add('b', 0.7)];
    host.add('other');
    host.pass(10);
    host.fairness.wants('other', host.now);
    expect(burning.map(({ limited }) => limited)).toEqual([0.375, 0.375]);
  });

  it('make no room for one that gives way itself', () => {
    const burning = start().add('burning', 1.5);
    host.pass(5);
    host.fairness.wants('burning', host.now);
    expect(burning.limited).toBeUndefined();
  });

  it('are told apart also where other programs leave them little', () => {
    const [burning, light] = [start().add('burning', 0.2), host.add('light', 0.01)];
    host.pass(5, 0);
    expect([burning.givesWay, light.givesWay]).toEqual([true, false]);
  });

  it('are not looked at one by one while nobody computes', () => {
    const idle = start().add('idle');
    host.pass(1);
    const before = idle.looks;
    host.pass(60);
    expect(idle.looks).toBe(before);
  });

  it('are missed by nobody when they end', () => {
    start().add('burning', 1.5);
    host.pass(5);
    host.fairness.remove('burning');
    host.fairness.wants('burning', host.now);
    host.pass(1);
  });

  it('are spoken of where the host does not let us', () => {
    const burning = start().add('burning', 1.5);
    burning.writable = false;
    host.pass(5);
    expect(host.refusals).toBe(1);
  });
});
