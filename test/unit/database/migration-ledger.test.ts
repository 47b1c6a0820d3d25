import { describe, expect, it } from 'vitest';
import {
  type AppliedMigration,
  pendingMigrations,
} from '../../../orchestrator/src/database/migration-ledger.js';

const onDisk = ['1_one', '2_two', '3_three'].map((name) => ({ name, sql: '', checksum: `sum of ${name}` }));
const applied = (name: string, changes: Partial<AppliedMigration> = {}): AppliedMigration => ({
  name,
  checksum: `sum of ${name}`,
  finished: true,
  ...changes,
});

describe('pendingMigrations', () => {
  it('are all of them in a fresh database', () => {
    expect(pendingMigrations(onDisk, [])).toEqual(onDisk);
  });

  it('are those without a row, in order', () => {
    expect(pendingMigrations(onDisk, [applied('1_one')]).map(({ name }) => name)).toEqual([
      '2_two',
      '3_three',
    ]);
    expect(
      pendingMigrations(
        onDisk,
        onDisk.map(({ name }) => applied(name)),
      ),
    ).toEqual([]);
  });

  it('cannot be told when one failed half-way', () => {
    expect(() => pendingMigrations(onDisk, [applied('1_one', { finished: false })])).toThrow(
      /1_one failed half-way/,
    );
  });

  it('cannot be told when a newer version was here', () => {
    expect(() => pendingMigrations(onDisk, [applied('9_nine')])).toThrow(
      /newer, version of the server: 9_nine/,
    );
  });

  it('cannot be told when an applied one was edited', () => {
    expect(() => pendingMigrations(onDisk, [applied('2_two', { checksum: 'other' })])).toThrow(
      /2_two was edited/,
    );
  });
});
