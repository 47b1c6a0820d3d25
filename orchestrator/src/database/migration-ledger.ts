/** Compares the migrations on disk with what `_prisma_migrations` says was applied. Pure. */
import type { Migration } from './migration-files.js';

/** A row of `_prisma_migrations`, without those that were rolled back. */
export interface AppliedMigration {
  readonly name: string;
  readonly checksum: string;
  readonly finished: boolean;
}

const listed = (names: readonly string[]): string => names.join(', ');

/**
 * The migrations still to apply, in order. Throws a sentence for the operator when the database and
 * this version cannot go together.
 */
export function pendingMigrations(
  migrations: readonly Migration[],
  applied: readonly AppliedMigration[],
): readonly Migration[] {
  const byName = new Map(migrations.map((migration) => [migration.name, migration]));
  const unfinished = applied.filter((row) => !row.finished).map((row) => row.name);
  if (unfinished.length > 0) {
    throw new Error(
      `The migration ${listed(unfinished)} failed half-way in this database. Look at its "logs" in the table ` +
        `"_prisma_migrations", repair what it left, then delete its row there and start again.`,
    );
  }
  const unknown = applied.filter((row) => !byName.has(row.name)).map((row) => row.name);
  if (unknown.length > 0) {
    throw new Error(
      `This database was migrated by another, probably newer, version of the server: ${listed(unknown)} ` +
        `is not part of this one. Start that version, or restore a backup made before it.`,
    );
  }
  const edited = applied
    .filter((row) => byName.get(row.name)?.checksum !== row.checksum)
    .map((row) => row.name);
  if (edited.length > 0) {
    throw new Error(
      `The migration ${listed(edited)} was edited after it had been applied to this database. ` +
        `Restore the file prisma/migrations/${edited[0]}/migration.sql and put the change into a new migration.`,
    );
  }
  const done = new Set(applied.map((row) => row.name));
  return migrations.filter((migration) => !done.has(migration.name));
}
