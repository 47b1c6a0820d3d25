/**
 * Prisma's schema engine as WebAssembly. The package wants a bundler to load it, so we do that by
 * hand; it costs 40 ms and is done only when there is something to migrate.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import {
  bindMigrationAwareSqlAdapterFactory,
  type SqlMigrationAwareDriverAdapterFactory,
} from '@prisma/driver-adapter-utils';
import * as bindings from '@prisma/schema-engine-wasm/schema_engine_bg';
import type { MigrationList, SchemaEngine, SchemaFilter } from '@prisma/schema-engine-wasm/schema_engine_bg';
import { LOCK_FILE, type Migration } from './migration-files.js';

interface EngineExports {
  readonly __wbindgen_start: () => void;
}

/** The part of the global `WebAssembly` that we use; its types come with the browser's, which we leave out. */
interface WebAssemblyApi {
  instantiate(bytes: Uint8Array, imports: object): Promise<{ instance: { exports: EngineExports } }>;
}

const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyApi };
// Where the engine leaves its last words before it traps; without it, they are lost in a TypeError.
Object.assign(globalThis, {
  PRISMA_WASM_PANIC_REGISTRY: {
    set_message: (message: string) => console.error(`Prisma schema engine: ${message}`),
  },
});

let loaded: Promise<void> | undefined;

/**
 * The engine guards its lock with a timer of ten seconds that it never clears, which would keep a
 * process alive that has nothing left to do.
 */
function importsOfEngine(): Readonly<Record<string, unknown>> {
  const imports: Record<string, unknown> = { ...bindings };
  for (const name of Object.keys(imports).filter((each) => each.startsWith('__wbg_setTimeout_'))) {
    imports[name] = (work: () => void, delayMs: number) => setTimeout(work, delayMs).unref();
  }
  return imports;
}

async function load(): Promise<void> {
  const path = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg');
  const bytes = await readFile(path.replace(/\.js$/, '.wasm'));
  const { instance } = await WebAssembly.instantiate(bytes, {
    './schema_engine_bg.js': importsOfEngine(),
  });
  bindings.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
}

/** Everything in the database is ours to manage. */
export const NO_FILTER: SchemaFilter = { externalTables: [], externalEnums: [] };

/** Opens an engine on an adapter, whose connections stay the caller's. Free the engine after use. */
export async function openSchemaEngine(
  adapter: SqlMigrationAwareDriverAdapterFactory,
): Promise<SchemaEngine> {
  await (loaded ??= load());
  const bound = bindMigrationAwareSqlAdapterFactory(adapter);
  return bindings.SchemaEngine.new({ datamodels: undefined }, () => undefined, bound);
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
