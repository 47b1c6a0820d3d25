import { Injectable } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import { PrismaService } from '../../database/prisma.service.js';

const SETTING = 'compaction-key';

/** The installation's key for compaction items: made on first use, kept with the rest of the records. */
@Injectable()
export class SealKeyRepository {
  private known: Promise<Buffer> | null = null;

  constructor(private readonly prisma: PrismaService) {}

  key(): Promise<Buffer> {
    this.known ??= this.keep().catch((error: unknown) => {
      this.known = null;
      throw error;
    });
    return this.known;
  }

  /** Two processes that begin at once end up with the same key. */
  private async keep(): Promise<Buffer> {
    const data = [{ key: SETTING, value: randomBytes(32).toString('base64url') }];
    await this.prisma.setting.createMany({ data, skipDuplicates: true });
    const row = await this.prisma.setting.findUniqueOrThrow({ where: { key: SETTING } });
    return Buffer.from(row.value, 'base64url');
  }
}
