/** Generates docs/api/openapi.json, or checks it with `--check`: scripts/docs. */
import { writeOrCheck } from './generated-file.js';
import { openApiDocument } from './openapi-document.js';

const content = `${JSON.stringify(await openApiDocument(), null, 2)}\n`;
process.exitCode = writeOrCheck('docs/api/openapi.json', content, process.argv.slice(2));
