/** Generates docs/configuration.md, or checks it with `--check`: scripts/docs. */
import { configurationPage } from './configuration-page.js';
import { writeOrCheck } from './generated-file.js';

process.exitCode = writeOrCheck('docs/configuration.md', configurationPage(), process.argv.slice(2));
