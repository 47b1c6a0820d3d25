/** Read by the Prisma CLI only, which is used for `generate` alone: scripts/prisma. */
import { defineConfig } from 'prisma/config';

export default defineConfig({ schema: '../prisma/schema.prisma' });
