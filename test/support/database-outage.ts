/** A database that goes away and comes back, for those who use it: their connections end, new ones are refused. */
import pg from 'pg';

export interface Outage {
  /** The database answers again. */
  end(): Promise<void>;
}

/** The caller's role owns the database; other databases of the same server go on. */
export async function takeDatabaseAway(url: string): Promise<Outage> {
  const name = new URL(url).pathname.slice(1);
  const other = new URL(url);
  other.pathname = '/postgres';
  const client = new pg.Client({ connectionString: other.href });
  await client.connect();
  await client.query(`ALTER DATABASE "${name}" CONNECTION LIMIT 0`);
  await client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name]);
  return {
    end: async () => {
      await client.query(`ALTER DATABASE "${name}" CONNECTION LIMIT -1`);
      await client.end();
    },
  };
}
