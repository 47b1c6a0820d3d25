// Runs a TypeScript file of ours without a build: node run-typescript.mjs FILE [ARGUMENT]...
//
// Node strips the types itself; the hook finds the .ts file behind an import that ends in .js. For files
// without decorators only. Needs --experimental-transform-types, for constructors that declare fields.
import { registerHooks } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

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

const [file] = process.argv.splice(2, 1);
await import(pathToFileURL(resolve(file)).href);
