/**
 * Prisma's adapter for PostgreSQL cuts a script at every semicolon, also inside the body of a function.
 * PostgreSQL takes scripts whole, so it gets them whole.
 */
import { PrismaPg } from '@prisma/adapter-pg';
import type { SqlDriverAdapter, SqlMigrationAwareDriverAdapterFactory } from '@prisma/driver-adapter-utils';
import type { Pool } from 'pg';

/** An adapter on a pool whose `executeScript` may define functions and triggers. */
export function withWholeScripts(pool: Pool): SqlMigrationAwareDriverAdapterFactory {
  const factory: SqlMigrationAwareDriverAdapterFactory = new PrismaPg(pool);
  const connect = factory.connect.bind(factory);
  factory.connect = async (): Promise<SqlDriverAdapter> => {
    const adapter = await connect();
    adapter.executeScript = async (script) => {
      await pool.query(script);
    };
    return adapter;
  };
  return factory;
}
