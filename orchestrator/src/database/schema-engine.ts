/**
 * Prisma's schema engine as WebAssembly. The package wants a bundler to load it, so we do that by
 * hand; it costs 40 ms and is done only when there is something to migrate.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import { PrismaPg } from '@prisma/adapter-pg';
import * as bindings from '@prisma/schema-engine-wasm/schema_engine_bg';
import type { MigrationList, SchemaEngine, SchemaFilter } from '@prisma/schema-engine-wasm/schema_engine_bg';
import type { Pool, QueryResult } from 'pg';
import { LOCK_FILE, type Migration } from './migration-files.js';

interface EngineExports {
  readonly __wbindgen_start: () => void;
}

/** The part of the global `WebAssembly` that we use; its types come with the browser's, which we leave out. */
interface WebAssemblyApi {
  instantiate(bytes: Uint8Array, imports: object): Promise<{ instance: { exports: EngineExports } }>;
}

const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyApi };
let loaded: Promise<void> | undefined;

async function load(): Promise<void> {
  const path = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg');
  const bytes = await readFile(path.replace(/\.js$/, '.wasm'));
  const { instance } = await WebAssembly.instantiate(bytes, { './schema_engine_bg.js': bindings });
  bindings.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
}

/** Everything in the database is ours to manage. */
export const NO_FILTER: SchemaFilter = { externalTables: [], externalEnums: [] };

const CHAR_OID = 18;
const TEXT_OID = 25;

/**
 * Prisma's adapter does not know PostgreSQL's one-byte type "char", which the system catalogue uses
 * and the engine reads there. Values look the same as text, so that is what we call them.
 */
function presentCharAsText(pool: Pool): void {
  const query = pool.query.bind(pool) as (...args: readonly unknown[]) => Promise<QueryResult>;
  const patched = async (...args: readonly unknown[]): Promise<QueryResult> => {
    const result = await query(...args);
    for (const field of result.fields) if (field.dataTypeID === CHAR_OID) field.dataTypeID = TEXT_OID;
    return result;
  };
  pool.query = patched as typeof pool.query;
}

/** Opens an engine on a pool that was made for it and stays the caller's. Free the engine after use. */
export async function openSchemaEngine(pool: Pool): Promise<SchemaEngine> {
  await (loaded ??= load());
  presentCharAsText(pool);
  const adapter = bindMigrationAwareSqlAdapterFactory(new PrismaPg(pool));
  return bindings.SchemaEngine.new({ datamodels: undefined }, () => undefined, adapter);
}

/** The migrations in the form that the engine's methods take. */
export function migrationList(folder: string, migrations: readonly Migration[]): MigrationList {
  return {
    baseDir: folder,
    lockfile: { path: LOCK_FILE, content: 'provider = "postgresql"\n' },
    shadowDbInitScript: '',
    migrationDirectories: migrations.map(({ name, sql }) => ({
      path: name,
      migrationFile: { path: 'migration.sql', content: { tag: 'ok', value: sql } },
    })),
  };
}
