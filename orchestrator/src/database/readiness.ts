import { Injectable } from '@nestjs/common';
import { PrismaService } from './prisma.service.js';

const DEFAULT_TIMEOUT_MS = 2_000;

/** Whether PostgreSQL answers, and how fast. `problem` is a sentence for an operator. */
export type DatabaseState =
  | { readonly ready: true; readonly roundTripMs: number }
  | { readonly ready: false; readonly problem: string };

/** Asked by `/health/ready` and `doctor`. Never throws and never takes longer than its timeout. */
@Injectable()
export class DatabaseReadiness {
  constructor(private readonly prisma: PrismaService) {}

  async check(timeoutMs = DEFAULT_TIMEOUT_MS): Promise<DatabaseState> {
    const startedAt = performance.now();
    const expired = Promise.withResolvers<DatabaseState>();
    const timer = setTimeout(
      () => expired.resolve({ ready: false, problem: `PostgreSQL did not answer within ${timeoutMs} ms` }),
      timeoutMs,
    );
    const answered = this.prisma.$queryRaw`SELECT 1`.then(
      (): DatabaseState => ({ ready: true, roundTripMs: performance.now() - startedAt }),
      (error: unknown): DatabaseState => ({
        ready: false,
        problem: `PostgreSQL cannot be reached: ${error instanceof Error ? error.message : String(error)}`,
      }),
    );
    try {
      return await Promise.race([answered, expired.promise]);
    } finally {
      clearTimeout(timer);
    }
  }
}
