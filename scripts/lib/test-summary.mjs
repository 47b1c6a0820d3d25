// Adds the tiers up: node test-summary.mjs RESULTS_DIR TIER...
//
// Each tier left `<tier>.status` (exit code) and `<tier>.json` (vitest) or `<tier>.log` (unittest). Failed tests
// are named. The last line is `N passed, N failed, N skipped`, kept in `summary.txt` as well. Exits 1 when
// something failed, or when nothing ran at all.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [dir, ...tiers] = process.argv.slice(2);

const read = (name) => {
  const path = join(dir, name);
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
};

function fromVitest(text) {
  const report = JSON.parse(text);
  const broken = report.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.length === 0,
  );
  return {
    passed: report.numPassedTests,
    // A file that could not be loaded has no tests to fail.
    failed: report.numFailedTests + broken.length,
    skipped: report.numPendingTests + report.numTodoTests,
    names: [...failedTests(report), ...broken.map(({ name }) => `${fileName(name)} (could not be run)`)],
  };
}

const fileName = (path) => path.replace(/^.*\/test\//, 'test/');

function failedTests(report) {
  return report.testResults.flatMap(({ name, assertionResults }) =>
    assertionResults
      .filter(({ status }) => status === 'failed')
      .map(({ fullName, failureMessages: [message = ''] }) => {
        const [reason = ''] = message.split('\n', 1);
        return `${fileName(name)} > ${fullName}: ${reason.slice(0, 200)}`;
      }),
  );
}

function fromUnittest(text) {
  const ran = Number(/^Ran (\d+) tests? in /m.exec(text)?.[1] ?? Number.NaN);
  const result = /^(?:OK|FAILED|NO TESTS RAN)(?: \((.*)\))?\s*$/m.exec(text);
  if (Number.isNaN(ran) || !result) return undefined;
  const count = (name) => Number(new RegExp(`(?:^|, )${name}=(\\d+)`).exec(result[1] ?? '')?.[1] ?? 0);
  const failed = count('failures') + count('errors') + count('unexpected successes');
  const skipped = count('skipped') + count('expected failures');
  const names = [...text.matchAll(/^(?:FAIL|ERROR): (.+)$/gm)].map(([, name]) => name);
  // An error in setUpModule or a skipped class counts without a test having run.
  return { passed: Math.max(0, ran - failed - skipped), failed, skipped, names };
}

function countsOf(tier) {
  const json = read(`${tier}.json`);
  const log = read(`${tier}.log`);
  const counts = (json && fromVitest(json)) ??
    (log && fromUnittest(log)) ?? { passed: 0, failed: 0, skipped: 0, names: [] };
  const status = Number(read(`${tier}.status`) ?? 1);
  const crashed = status !== 0 && counts.failed === 0 && !(status === 5 && counts.passed === 0);
  if (crashed) console.log(`${tier}: the runner ended with code ${status}, though no test failed`);
  return { ...counts, failed: counts.failed + (crashed ? 1 : 0) };
}

const sum = { passed: 0, failed: 0, skipped: 0 };
const named = [];
for (const tier of tiers) {
  const counts = countsOf(tier);
  console.log(
    `${tier.padEnd(12)} ${String(counts.passed).padStart(5)} passed ${String(counts.failed).padStart(5)} failed ${String(counts.skipped).padStart(5)} skipped`,
  );
  for (const key of Object.keys(sum)) sum[key] += counts[key];
  named.push(...counts.names.map((name) => `failed: ${tier}: ${name}`));
}
if (named.length > 0) console.log(named.join('\n'));
if (sum.passed + sum.failed === 0) console.log('no test ran');
const line = `${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`;
writeFileSync(join(dir, 'summary.txt'), `${line}\n`);
console.log(line);
process.exitCode = sum.failed > 0 || sum.passed === 0 ? 1 : 0;
