/** The commands of README.md and examples/, run as they stand there, against a real server. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { useProject } from '../support/project.js';
import { blockOf, ROOT } from './documents.js';
import { expectChart, expectedMonths, expectWorkbook } from './strikes.js';
import { pythonClient, Workplace } from './workplace.js';

const project = useProject();
const PRINTED = '10,000 rows read, 24 duplicates dropped\n1,045 strikes did damage, for $40,545,276\n';

describe('the documentation', () => {
  it.each(['respond.sh', 'respond.mjs', 'respond.py'])('shows examples/%s as it is', (name) => {
    expect(blockOf('README.md', name).text).toBe(readFileSync(join(ROOT, 'examples', name), 'utf8'));
  });

  it('shows examples/executions.sh as it is', () => {
    const shown = blockOf('examples/README.md', 'executions.sh');
    expect(shown.text).toBe(readFileSync(join(ROOT, 'examples/executions.sh'), 'utf8'));
  });

  it('knows its own data', () => {
    const months = expectedMonths();
    expect(months.reduce((sum, { strikes }) => sum + strikes, 0)).toBe(9_976);
    expect(months.reduce((sum, { cost }) => sum + cost, 0)).toBe(40_545_276);
  });
});

describe('a reader', () => {
  let place: Workplace;
  let environment: string;
  beforeAll(() => {
    place = new Workplace(project);
    environment = blockOf('README.md', 'environment').text;
  });
  afterAll(() => place.remove());

  const expectResults = async () => {
    expectChart(place.take('examples/wildlife-strikes.png'));
    await expectWorkbook(project.api, place.take('examples/wildlife-strikes.xlsx'));
  };

  it('gets an answer from the first line', async () => {
    const reply = JSON.parse(await place.run(blockOf('README.md', 'first').text)) as { status: string };
    expect(reply.status).toBe('completed');
    expect(JSON.stringify(reply)).toContain('5050');
  });

  it('gets chart and workbook with curl', async () => {
    const { text } = blockOf('README.md', 'respond.sh');
    expect(await place.run(`${environment}\n${text}`)).toContain(PRINTED);
    await expectResults();
  });

  it('gets them with the JavaScript client', async () => {
    expect(await place.run(`${environment}\nnode respond.mjs`)).toContain(PRINTED);
    await expectResults();
  });

  it('gets them with the Python client', async () => {
    expect(await place.run(`${environment}\n${pythonClient()} respond.py`)).toContain(PRINTED);
    await expectResults();
  });

  it('gets them from the workbook, with a container of their own', async () => {
    const { text } = blockOf('examples/README.md', 'executions.sh');
    const printed = await place.run(`${environment}\n${text}`);
    expect(printed).toContain("('Oct', 1348)");
    expect(printed).toContain('"deleted":true');
    await expectResults();
  });
});
