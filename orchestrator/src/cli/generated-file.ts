/** Writes a generated file, or says that it is not what its source makes of it. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** The first line that differs, so that the reader sees what changed. */
function firstDifference(before: string, after: string): string {
  const [old, fresh] = [before.split('\n'), after.split('\n')];
  const at = fresh.findIndex((line, index) => line !== old[index]);
  const line = at === -1 ? fresh.length : at;
  return `line ${line + 1}\n  - ${old[line] ?? '(nothing)'}\n  + ${fresh[line] ?? '(nothing)'}`;
}

/** `--check` among the arguments compares only. Returns the exit code. */
export function writeOrCheck(path: string, content: string, args: readonly string[]): number {
  const before = readIfThere(path);
  if (before === content) return 0;
  if (args.includes('--check')) {
    const where = before === undefined ? 'it does not exist' : firstDifference(before, content);
    console.error(`${path} is out of date: ${where}\nRun: npm run docs`);
    return 1;
  }
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  console.log(`wrote ${path}`);
  return 0;
}
