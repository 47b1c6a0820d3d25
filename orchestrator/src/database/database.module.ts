import { type DynamicModule, Global, Module } from '@nestjs/common';
import { DATABASE_OPTIONS, type DatabaseOptions, PrismaService } from './prisma.service.js';
import { DatabaseReadiness } from './readiness.js';

/** Makes `PrismaService` and `DatabaseReadiness` injectable everywhere. Import it once, at the root. */
@Global()
@Module({})
export class DatabaseModule {
  static forRoot(options: DatabaseOptions): DynamicModule {
    return {
      module: DatabaseModule,
      providers: [{ provide: DATABASE_OPTIONS, useValue: options }, PrismaService, DatabaseReadiness],
      exports: [PrismaService, DatabaseReadiness],
    };
  }
}
