/**
 * What is forgotten of uploads; asked by retention.
 * Every step is one statement of its own, takes at most `take` rows and says how many it took; it finds them through
 * an index that holds little else, and leaves rows alone that somebody has locked: they are found the next time.
 */
import { Injectable } from '@nestjs/common';
import { PrismaService } from '../database/prisma.service.js';
import { at } from '../database/sql.js';

@Injectable()
export class OldUploads {
  constructor(private readonly prisma: PrismaService) {}

  /** Uploads that came to an end; the file that came out of one lives on. */
  removeUploads(before: Date, take: number): Promise<number> {
    return this.prisma.$executeRaw`
      DELETE FROM "Upload" WHERE "id" = ANY(ARRAY(
        SELECT "id" FROM "Upload" WHERE "createdAt" < ${at(before)} AND "status" <> 'pending'
         ORDER BY "createdAt" LIMIT ${take} FOR UPDATE SKIP LOCKED))`;
  }
}
