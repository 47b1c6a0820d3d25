/**
 * Prisma's adapter for PostgreSQL cuts a script at every semicolon, also inside the body of a function.
 * PostgreSQL takes scripts whole, so it gets them whole.
 */
import { PrismaPg } from '@prisma/adapter-pg';
import {
  DriverAdapterError,
  type SqlDriverAdapter,
  type SqlMigrationAwareDriverAdapterFactory,
} from '@prisma/driver-adapter-utils';
import { DatabaseError, type Pool } from 'pg';

/** In the words of the adapter; whatever else is thrown reaches the operator as "External error". */
function inAdapterWords(error: unknown): unknown {
  if (!(error instanceof DatabaseError)) return error;
  return new DriverAdapterError({
    kind: 'postgres',
    code: error.code ?? 'XX000',
    severity: error.severity ?? 'ERROR',
    message: error.message,
    detail: error.detail,
    column: error.column,
    hint: error.hint,
  });
}

/** An adapter on a pool whose `executeScript` may define functions and triggers. */
export function withWholeScripts(pool: Pool): SqlMigrationAwareDriverAdapterFactory {
  const factory: SqlMigrationAwareDriverAdapterFactory = new PrismaPg(pool);
  const connect = factory.connect.bind(factory);
  factory.connect = async (): Promise<SqlDriverAdapter> => {
    const adapter = await connect();
    adapter.executeScript = async (script) => {
      await pool.query(script).catch((error: unknown) => {
        throw inAdapterWords(error);
      });
    };
    return adapter;
  };
  return factory;
}
