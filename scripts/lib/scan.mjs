// Runs n8n's scanner on the sources and on what npm would publish: node scan.mjs SCANNER SOURCE PACKAGE
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';

/** All that whoever installs the package needs; anything else got in by mistake. */
const PUBLISHED =
  /^(package\.json|README\.md|LICENSE|dist\/(nodes|credentials)\/.+\.(js|d\.ts|json|svg|png))$/;

const [folder, source, published] = process.argv.slice(2);
const entry = join(folder, 'node_modules/@n8n/scan-community-package/scanner/scanner.mjs');
const { analyzePackage, SOURCE_FILE_PATTERNS } = await import(pathToFileURL(entry).href);

const legs = {
  sources: [source, SOURCE_FILE_PATTERNS],
  package: [published, ['**/*.js', 'package.json']],
};
for (const [name, [directory, patterns]] of Object.entries(legs)) {
  const { passed, message, details } = await analyzePackage(directory, patterns);
  console.log(`${name}: ${passed ? 'passed' : 'failed'}`);
  if (passed) continue;
  console.error(message ?? '', details ?? '');
  process.exitCode = 1;
}

const files = readdirSync(published, { recursive: true, withFileTypes: true })
  .filter((file) => file.isFile())
  .map((file) => relative(published, join(file.parentPath, file.name)));
const strangers = files.filter((file) => !PUBLISHED.test(file));
console.log(
  `content: ${files.length} files${strangers.length === 0 ? '' : `, unwanted: ${strangers.join(', ')}`}`,
);
if (strangers.length > 0) process.exitCode = 1;
