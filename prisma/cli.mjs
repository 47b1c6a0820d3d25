// Runs orchestrator/src/database/migration-tool.ts without a build: Node strips the types itself, and
// the hook below finds the .ts file behind an import that ends in .js. See scripts/prisma.
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

registerHooks({
  resolve(specifier, context, next) {
    try {
      return next(specifier, context);
    } catch (error) {
      if (!specifier.startsWith('.') || !specifier.endsWith('.js')) throw error;
      return next(specifier.replace(/\.js$/, '.ts'), context);
    }
  },
});

// So that the throw-away PostgreSQL is taken down too.
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));

const { runMigrationTool } = await import('../orchestrator/src/database/migration-tool.ts');
const prismaDir = process.env.PRISMA_DIR ?? fileURLToPath(new URL('.', import.meta.url));
try {
  process.exitCode = await runMigrationTool(process.argv.slice(2), prismaDir);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 70;
}
