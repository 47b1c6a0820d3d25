/** Pieces of raw SQL that several repositories need. In unsafe statements their text is `.sql`. */
import { Prisma } from './generated/client.js';

/** This moment as our columns hold it: UTC without a zone, whatever the session's zone is. */
export const NOW = Prisma.raw(`(now() AT TIME ZONE 'utc')`);

/** A moment of ours, to be compared with a column. */
export const at = (date: Date): Prisma.Sql =>
  Prisma.sql`(to_timestamp(${date.getTime()}::double precision / 1000) AT TIME ZONE 'utc')`;

/**
 * Joined to a statement, it lets that statement's commit return before the disk has it. For what may be
 * forgotten when the machine loses power (a crash of ours forgets nothing).
 */
export const RELAXED = Prisma.raw(`(SELECT set_config('synchronous_commit', 'off', true)) AS relaxed`);

/** Of a row of "Container": it runs at this moment, by its stored state and the idle time together. */
export const LIVE_CONTAINER = Prisma.raw(
  `("status" = 'running' AND "lastActiveAt" > ${NOW.sql} - make_interval(mins => "idleMinutes"))`,
);
