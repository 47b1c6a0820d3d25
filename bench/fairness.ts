/** `npm run bench -- --fairness`: what busy containers cost the others; writes bench/results/fairness.json. */
import { AS_INSTALLED } from '../test/support/server.js';
import { endOnSignals, withServer } from './lifetime.js';
import { load, machine } from './machine.js';
import type { Row } from './measure.js';
import { heading, line, write } from './report.js';
import { fairness, sentence } from './steps-fairness.js';

const quick = process.argv.includes('--quick');
const COUNTS = quick ? { rounds: 20, busy: [1] } : { rounds: 100, busy: [1, 2, 4] };

const rows: Row[] = [];
const before = load();
endOnSignals();
console.log(heading);
await withServer({ ...AS_INSTALLED, SANDBOX_POOL: '1g=2' }, async (_client, server) => {
  const ratios = await fairness(server, COUNTS, (more) => {
    rows.push(...more);
    for (const row of more) console.log(line(row));
  });
  for (const ratio of ratios) console.log(sentence(ratio));
  const load_average = { before, after: load() };
  console.log(`load average ${before.join(' ')} before, ${load_average.after.join(' ')} after`);
  const report = { at: new Date().toISOString(), load_average, machine: machine(), ratios, rows };
  if (!quick) write('fairness.json', report);
});
