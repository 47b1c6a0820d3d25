/**
 * What is forgotten of containers, their files and their executions; asked by retention.
 * Every step is one statement of its own, takes at most `take` rows and says how many it took; it finds them through
 * an index that holds little else, and leaves rows alone that somebody has locked: they are found the next time.
 */
import { Injectable } from '@nestjs/common';
import { Prisma } from '../database/generated/client.js';
import { PrismaService } from '../database/prisma.service.js';
import { at } from '../database/sql.js';

/** Containers that were deleted and may still hold something: an array, so that each is looked up by an index. */
const TO_EMPTY = Prisma.raw(
  `ARRAY(SELECT "id" FROM "Container" WHERE "status" = 'deleted' AND NOT "emptied" ORDER BY "id" LIMIT 5000)`,
);

@Injectable()
export class OldContainers {
  constructor(private readonly prisma: PrismaService) {}

  /** Files of containers that were deleted. */
  removeUnreachableFiles(take: number): Promise<number> {
    return this.prisma.$executeRaw`
      DELETE FROM "ContainerFile" WHERE "id" = ANY(ARRAY(
        SELECT "id" FROM "ContainerFile" WHERE "containerId" = ANY(${TO_EMPTY}) LIMIT ${take}))`;
  }

  /** Files that code removed before its container ended. */
  removeRemovedFiles(take: number): Promise<number> {
    return this.prisma.$executeRaw`
      DELETE FROM "ContainerFile" WHERE "id" = ANY(ARRAY(
        SELECT f."id" FROM "ContainerFile" f JOIN "Container" c ON c."id" = f."containerId"
         WHERE f."deletedAt" IS NOT NULL AND c."status" = 'expired' LIMIT ${take}))`;
  }

  /** Takes code and outputs out of the executions of deleted containers; what they cost is kept. */
  emptyDeletedExecutions(take: number): Promise<number> {
    return this.prisma.$executeRaw`
      UPDATE "Execution" SET "code" = '', "outputs" = '[]', "files" = '[]', "value" = NULL WHERE "id" = ANY(ARRAY(
        SELECT "id" FROM "Execution"
         WHERE "containerId" = ANY(${TO_EMPTY}) AND "code" <> '' AND "status" NOT IN ('queued', 'running')
         LIMIT ${take}))`;
  }

  /** Containers deleted before `before` that hold nothing any more: they are not looked at again. */
  markEmptied(before: Date, take: number): Promise<number> {
    return this.prisma.$executeRaw`
      UPDATE "Container" SET "emptied" = TRUE WHERE "id" = ANY(ARRAY(
        SELECT c."id" FROM "Container" c
         WHERE c."status" = 'deleted' AND NOT c."emptied" AND c."endedAt" < ${at(before)}
           AND (SELECT f."id" FROM "ContainerFile" f WHERE f."containerId" = c."id" LIMIT 1) IS NULL
           AND (SELECT e."id" FROM "Execution" e WHERE e."containerId" = c."id"
                   AND (e."code" <> '' OR e."status" IN ('queued', 'running')) LIMIT 1) IS NULL
         LIMIT ${take} FOR UPDATE SKIP LOCKED))`;
  }

  removeExecutions(before: Date, take: number): Promise<number> {
    return this.prisma.$executeRaw`
      DELETE FROM "Execution" WHERE "id" = ANY(ARRAY(
        SELECT "id" FROM "Execution"
         WHERE "createdAt" < ${at(before)} AND "status" NOT IN ('queued', 'running')
         ORDER BY "createdAt" LIMIT ${take} FOR UPDATE SKIP LOCKED))`;
  }

  /** Tombstones, with the files and executions they still have. */
  removeContainers(before: Date, take: number): Promise<number> {
    return this.prisma.$executeRaw`
      DELETE FROM "Container" WHERE "id" = ANY(ARRAY(
        SELECT "id" FROM "Container" WHERE "endedAt" < ${at(before)} AND "status" <> 'running'
         ORDER BY "endedAt" LIMIT ${take} FOR UPDATE SKIP LOCKED))`;
  }
}
