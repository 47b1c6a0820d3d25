import { describe, expect, it } from 'vitest';
import {
  fromLabels,
  installationPrefix,
  toLabels,
} from '../../../orchestrator/src/sandboxes/docker/sandbox-labels.js';

const record = {
  sandboxId: 'abc',
  createdAt: new Date('2026-01-02T03:04:05.678Z'),
  spec: { memoryBytes: 1, dataBytes: 2, maxFiles: 3, labels: { pool: 'warm', 'a=b': 'c,"d"' } },
};

describe('labels', () => {
  it('bring a sandbox back as it was', () => {
    expect(fromLabels(toLabels('here', record))).toEqual(record);
  });

  it('of others are nothing to us', () => {
    expect(fromLabels({ 'com.example': 'x' })).toBeUndefined();
  });

  it('that were tampered with give zeroes, not an exception', () => {
    const labels = { ...toLabels('here', record), 'code-interpreter.spec': '{"memoryBytes":-5' };
    expect(fromLabels(labels)?.spec).toMatchObject({ memoryBytes: 0, dataBytes: 0, maxFiles: 0 });
  });

  it('cannot be taken for our own by free labels', () => {
    const spec = { ...record.spec, labels: { sandbox: 'other', 'code-interpreter.sandbox': 'other' } };
    expect(fromLabels(toLabels('here', { ...record, spec }))?.sandboxId).toBe('abc');
  });

  it('name installations apart', () => {
    expect(installationPrefix('one')).toMatch(/^sandbox-[0-9a-f]{12}-$/);
    expect(installationPrefix('one')).not.toBe(installationPrefix('two'));
  });
});
