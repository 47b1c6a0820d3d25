/**
 * Prisma's adapter for PostgreSQL does not know the one-byte type "char". The system catalogue uses
 * it, so Prisma's schema engine cannot read a live database through the adapter. Here is the rest.
 */
import { PrismaPg } from '@prisma/adapter-pg';
import {
  ColumnTypeEnum,
  type SqlDriverAdapter,
  type SqlMigrationAwareDriverAdapterFactory,
} from '@prisma/driver-adapter-utils';
import type { Pool, QueryResult } from 'pg';

type Query = (...args: readonly unknown[]) => Promise<QueryResult>;

const CHAR_OID = 18;
const TEXT_OID = 25;

/** An adapter on a pool that was made for it: "char" passes the adapter as text and leaves it as a character. */
export function withCharColumns(pool: Pool): SqlMigrationAwareDriverAdapterFactory {
  const charColumnsOf = new WeakMap<object, readonly number[]>();
  const query = pool.query.bind(pool) as Query;
  const patched: Query = async (...args) => {
    const result = await query(...args);
    const found = result.fields.flatMap((field, index) => (field.dataTypeID === CHAR_OID ? [index] : []));
    for (const index of found) result.fields[index]!.dataTypeID = TEXT_OID;
    charColumnsOf.set(result.rows, found);
    return result;
  };
  pool.query = patched as typeof pool.query;

  const factory: SqlMigrationAwareDriverAdapterFactory = new PrismaPg(pool);
  const connect = factory.connect.bind(factory);
  factory.connect = async (): Promise<SqlDriverAdapter> => {
    const adapter = await connect();
    const queryRaw = adapter.queryRaw.bind(adapter);
    adapter.queryRaw = async (request) => {
      const result = await queryRaw(request);
      for (const index of charColumnsOf.get(result.rows) ?? [])
        result.columnTypes[index] = ColumnTypeEnum.Character;
      return result;
    };
    return adapter;
  };
  return factory;
}
