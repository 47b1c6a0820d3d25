import { describe, expect, it } from 'vitest';
import { demultiplex } from '../../../orchestrator/src/sandboxes/docker/docker-engine.js';
import { takesAnnotations } from '../../../orchestrator/src/sandboxes/docker/host-check.js';
import { parseProbe } from '../../../orchestrator/src/sandboxes/docker/isolation-probe.js';

describe('the probe', () => {
  it('tells gVisor with a data limit', () => {
    expect(parseProbe('gvisor=1\nkernel=Linux version 4.4.0 #1 = x\nwritten=8388608\n')).toEqual({
      isolation: 'gvisor',
      dataLimited: true,
      kernel: 'Linux version 4.4.0 #1 = x',
      tellsOfCheckpoints: false,
    });
  });

  it('tells whether the guest hears of checkpoints', () => {
    expect(parseProbe('gvisor=1\nkernel=x\ncheckpoint=1\nwritten=8388608\n').tellsOfCheckpoints).toBe(true);
  });

  it('tells the host’s own kernel and a missing limit', () => {
    expect(parseProbe('gvisor=0\nkernel=Linux version 6.1\nwritten=16777216\n')).toMatchObject({
      isolation: 'none',
      dataLimited: false,
    });
  });

  it('trusts no output that says nothing', () => {
    expect(() => parseProbe('')).toThrow('nothing useful');
    expect(() => parseProbe('gvisor=1\nwritten=\n')).toThrow('nothing useful');
    expect(() => parseProbe('gvisor=1\nwritten=0\n')).toThrow('nothing useful');
  });
});

it('annotations need API 1.43', () => {
  expect(['1.41', '1.43', '1.44', '2.0', ''].map(takesAnnotations)).toEqual([false, true, true, true, false]);
});

it('a container’s log is taken out of Docker’s frames', () => {
  const frame = (text: string): Buffer => {
    const head = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);
    head.writeUInt32BE(Buffer.byteLength(text), 4);
    return Buffer.concat([head, Buffer.from(text)]);
  };
  expect(demultiplex(Buffer.concat([frame('one\n'), frame('two')]))).toBe('one\ntwo');
});
