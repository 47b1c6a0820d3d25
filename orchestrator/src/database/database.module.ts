import { type DynamicModule, Global, Module } from '@nestjs/common';
import { DatabaseClock } from './clock.js';
import { DATABASE_OPTIONS, type DatabaseOptions, PrismaService } from './prisma.service.js';
import { DatabaseReadiness } from './readiness.js';

/** Makes `PrismaService`, `DatabaseReadiness` and `DatabaseClock` injectable everywhere. Import it once, at the root. */
@Global()
@Module({})
export class DatabaseModule {
  static forRoot(options: DatabaseOptions): DynamicModule {
    return {
      module: DatabaseModule,
      providers: [
        { provide: DATABASE_OPTIONS, useValue: options },
        PrismaService,
        DatabaseReadiness,
        DatabaseClock,
      ],
      exports: [PrismaService, DatabaseReadiness, DatabaseClock],
    };
  }
}
