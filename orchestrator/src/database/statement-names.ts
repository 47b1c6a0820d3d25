/**
 * Names for prepared statements, so that PostgreSQL parses and plans what is asked again and again
 * only once per connection. Each name stays with its connection for as long as that lives, and lists of
 * ids or rows make a new text for every length; so only the first texts get one.
 */
const MOST = 256;
const LONGEST_CHARACTERS = 4_000;
const UNNAMED = '';

/** For `PrismaPg`; one generator per pool. The empty name means: prepare for this once. */
export function statementNames(): (query: { readonly sql: string }) => string {
  const names = new Map<string, string>();
  return ({ sql }) => {
    const known = names.get(sql);
    if (known !== undefined) return known;
    if (names.size >= MOST || sql.length > LONGEST_CHARACTERS) return UNNAMED;
    const name = `s${names.size}`;
    names.set(sql, name);
    return name;
  };
}

/** A pooler in front of PostgreSQL may hand each query to another connection: `?pgbouncer=true` says so. */
export const keepsConnections = (url: string): boolean =>
  new URL(url).searchParams.get('pgbouncer') !== 'true';
