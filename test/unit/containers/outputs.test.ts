import { describe, expect, it } from 'vitest';
import { OutputCollector, storableOutput } from '../../../orchestrator/src/containers/execution-outputs.js';
import { toCallOutputs } from '../../../orchestrator/src/responses/run/call-outputs.js';
import {
  PathAllocator,
  plainPath,
  prefixedPath,
} from '../../../orchestrator/src/containers/path-allocator.js';

describe('OutputCollector', () => {
  it('joins neighbouring pieces of one stream and keeps the order', () => {
    const collector = new OutputCollector();
    for (const text of ['a', 'b']) collector.add({ type: 'stdout', text });
    collector.add({ type: 'stderr', text: 'e' });
    collector.add({ type: 'stdout', text: 'c' });
    expect(collector.list()).toEqual([
      { type: 'stdout', text: 'ab' },
      { type: 'stderr', text: 'e' },
      { type: 'stdout', text: 'c' },
    ]);
  });
});

describe('toCallOutputs', () => {
  it('puts text into logs around the images, in order', () => {
    const outputs = toCallOutputs([
      { type: 'stdout', text: 'before\n' },
      { type: 'image', file_id: 'cfile_1', mime_type: 'image/png', bytes: 3 },
      { type: 'result', text: '2' },
      { type: 'error', name: 'ValueError', value: 'x', traceback: 'ValueError: x' },
      { type: 'notice', code: 'timeout', message: 'cut' },
    ]);
    expect(outputs).toEqual([
      { type: 'logs', logs: 'before\n' },
      { type: 'image', file_id: 'cfile_1' },
      { type: 'logs', logs: '2\nValueError: x\n[cut]' },
    ]);
  });

  it('is empty for a silent call', () => {
    expect(toCallOutputs([])).toEqual([]);
  });
});

describe('storableOutput', () => {
  it('replaces what the database cannot store', () => {
    expect(storableOutput({ type: 'stdout', text: 'a\0b\ud800' })).toEqual({
      type: 'stdout',
      text: 'a\ufffdb\ufffd',
    });
  });
});

describe('paths in a container', () => {
  it('stay below /mnt/data whatever the name', () => {
    for (const name of ['../../etc/passwd', '/etc/shadow', 'a/b.txt', '..', '.', '', 'x\0y', '\\..\\y']) {
      const path = plainPath(name);
      expect(path.startsWith('/mnt/data/')).toBe(true);
      expect(path.slice('/mnt/data/'.length)).not.toMatch(/^\.{0,2}$|\//);
    }
  });

  it('get a prefix when taken, still within 255 bytes', () => {
    const allocator = new PathAllocator();
    const name = `${'ü'.repeat(200)}.csv`;
    const [first, second] = [allocator.take(name), allocator.take(name)];
    expect(first).not.toBe(second);
    for (const path of [first, second, prefixedPath(name)]) {
      expect(Buffer.byteLength(path.slice('/mnt/data/'.length))).toBeLessThanOrEqual(255);
      expect(path.endsWith('.csv')).toBe(true);
    }
  });
});
