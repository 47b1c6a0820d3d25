// docs/libraries.md out of sandbox/environment.json: node libraries-page.mjs [--check]
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { format, resolveConfig } from 'prettier';

const ROOT = resolve(import.meta.dirname, '../..');
const PAGE = join(ROOT, 'docs/libraries.md');

// What people look for first; a name that the image does not have is left out.
const TOPICS = {
  'Tables and numbers': ['pandas', 'polars', 'numpy', 'scipy', 'pyarrow', 'duckdb', 'sympy', 'numba'],
  Charts: ['matplotlib', 'seaborn', 'plotly'],
  'Statistics and learning': ['scikit-learn', 'statsmodels', 'xgboost', 'lightgbm', 'networkx'],
  Documents: ['openpyxl', 'xlsxwriter', 'python-docx', 'python-pptx', 'pypdf', 'pdfplumber', 'reportlab'],
  'Images and text': ['pillow', 'opencv-python-headless', 'nltk', 'spacy', 'beautifulsoup4', 'lxml'],
  Maps: ['geopandas', 'shapely'],
};

function topicRows(versions) {
  return Object.entries(TOPICS).flatMap(([topic, names]) => {
    const known = names.filter((name) => versions.has(name));
    const cells = known.map((name) => `${name} ${versions.get(name)}`).join(', ');
    return known.length === 0 ? [] : [`| ${topic} | ${cells} |`];
  });
}

function page({ python, packages }) {
  const versions = new Map(packages.map(({ name, version }) => [name, version]));
  const rows = packages.map(({ name, version, modules }) => {
    const imports = modules.map((each) => `\`${each}\``).join(' ');
    return `| ${name} | ${version} | ${imports} |`;
  });
  return [
    '# Python libraries',
    '',
    '<!-- Made by scripts/docs-libraries from sandbox/environment.json, which the image build lists. -->',
    '',
    `Code in a container runs on Python ${python} with ${packages.length} distributions; their exact versions and`,
    'hashes are in `sandbox/requirements.lock`. `GET /v1/environment` gives this list as JSON. There is no network',
    'in a container, so `pip install` cannot add to it; upload a pure-Python wheel and put it on `sys.path` instead.',
    '',
    '| for | libraries |',
    '| --- | --- |',
    ...topicRows(versions),
    '',
    '## All of them',
    '',
    '| distribution | version | import |',
    '| --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}

const listing = JSON.parse(readFileSync(join(ROOT, 'sandbox/environment.json'), 'utf8'));
const wanted = await format(page(listing), { ...(await resolveConfig(PAGE)), filepath: PAGE });
const found = existsSync(PAGE) ? readFileSync(PAGE, 'utf8') : '';
if (process.argv.includes('--check')) {
  if (found !== wanted) {
    console.error('docs/libraries.md is out of date; run scripts/docs-libraries');
    process.exitCode = 1;
  }
} else if (found !== wanted) {
  writeFileSync(PAGE, wanted);
}
