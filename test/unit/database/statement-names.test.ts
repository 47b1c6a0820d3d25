import { describe, expect, it } from 'vitest';
import { keepsConnections, statementNames } from '../../../orchestrator/src/database/statement-names.js';

describe('statementNames', () => {
  it('gives each text one name, the same every time', () => {
    const nameOf = statementNames();
    const first = nameOf({ sql: 'SELECT 1' });
    expect(first).not.toBe('');
    expect(nameOf({ sql: 'SELECT 2' })).not.toBe(first);
    expect(nameOf({ sql: 'SELECT 1' })).toBe(first);
  });

  it('keeps no more than 256, and none that is very long', () => {
    const nameOf = statementNames();
    const names = Array.from({ length: 300 }, (_, index) => nameOf({ sql: `SELECT ${index}` }));
    expect(new Set(names.slice(0, 256)).size).toBe(256);
    expect(new Set(names.slice(256))).toEqual(new Set(['']));
    expect(nameOf({ sql: 'SELECT 7' })).toBe(names[7]);
    expect(statementNames()({ sql: `SELECT '${'x'.repeat(5_000)}'` })).toBe('');
  });
});

describe('keepsConnections', () => {
  it('is false behind a pooler', () => {
    expect(keepsConnections('postgresql://u:p@db/x')).toBe(true);
    expect(keepsConnections('postgresql://u:p@db/x?pgbouncer=true')).toBe(false);
  });
});
