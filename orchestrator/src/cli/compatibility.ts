/** Generates docs/compatibility.md, or checks it with `--check`: scripts/docs. */
import { compatibilityPage } from './compatibility-page.js';
import { writeOrCheck } from './generated-file.js';

process.exitCode = writeOrCheck('docs/compatibility.md', compatibilityPage(), process.argv.slice(2));
