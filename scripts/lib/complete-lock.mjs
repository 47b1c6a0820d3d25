// Completes the lock files of this repository: node complete-lock.mjs [--check]
//
// Native packages come in one variant for each platform, as exact optional dependencies. npm drops the ones
// that a registry does not carry from the lock file, and then `npm ci` refuses the lock file, on every
// platform. Here they get the entry npm itself would write, so that they are skipped where they do not fit.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const SYSTEMS = [
  'aix',
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'win32',
];
const PROCESSORS = [
  'arm64',
  'arm',
  'ia32',
  'loong64',
  'mips64el',
  'ppc64',
  'riscv64',
  's390x',
  'wasm32',
  'x64',
];
const EXACT = /^\d+\.\d+\.\d+(-[\w.]+)?$/;

/** `binding-linux-x64-musl` → linux, x64, musl; nothing for a name without a platform. */
function platformOf(name) {
  const words = name
    .split(/[/-]/)
    .map((word) => ({ windows: 'win32', gnueabihf: 'gnu', musleabihf: 'musl' })[word] ?? word);
  const os = SYSTEMS.find((each) => words.includes(each));
  const cpu = PROCESSORS.find((each) => words.includes(each));
  if (!os || !cpu) return undefined;
  const libc =
    os === 'linux'
      ? words.includes('musl')
        ? 'musl'
        : words.includes('gnu')
          ? 'glibc'
          : undefined
      : undefined;
  return { os: [os], cpu: [cpu], ...(libc ? { libc: [libc] } : {}) };
}

/** Where Node would find it: beside its parent or in any folder above. */
function isThere(packages, parent, name) {
  for (let folder = parent; ; folder = folder.slice(0, folder.lastIndexOf('/node_modules/'))) {
    if (packages[folder === '' ? `node_modules/${name}` : `${folder}/node_modules/${name}`]) return true;
    if (!folder.includes('/node_modules/'))
      return folder === '' || packages[`node_modules/${name}`] !== undefined;
  }
}

function missingEntries(packages) {
  const missing = {};
  for (const [parent, { optionalDependencies = {} }] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      const platform = platformOf(name);
      if (!EXACT.test(version) || !platform || isThere(packages, parent, name)) continue;
      const top = `node_modules/${name}`;
      const place = missing[top] && missing[top].version !== version ? `${parent}/${top}` : top;
      missing[place] = {
        version,
        cpu: platform.cpu,
        dev: packages[parent].dev,
        optional: true,
        os: platform.os,
        libc: platform.libc,
      };
      for (const key of Object.keys(missing[place]))
        if (missing[place][key] === undefined) delete missing[place][key];
    }
  }
  return missing;
}

const ROOT = join(import.meta.dirname, '../..');
const N8N_FOLDERS = readdirSync(join(ROOT, 'test/e2e/n8n'));
const LOCKS = [
  'package-lock.json',
  'test/sdk/package-lock.json',
  ...N8N_FOLDERS.map((name) => `test/e2e/n8n/${name}/package-lock.json`),
];

/** Whether the lock file is complete; without --check it is afterwards. */
function complete(name) {
  const path = join(ROOT, name);
  const lock = JSON.parse(readFileSync(path, 'utf8'));
  const missing = missingEntries(lock.packages);
  const names = Object.keys(missing);
  if (names.length === 0) return true;
  if (process.argv.includes('--check')) {
    console.error(
      `${name} lacks ${names.length} platform packages, so npm ci refuses it: ${names.slice(0, 3).join(', ')} …`,
    );
    return false;
  }
  const entries = Object.entries({ ...lock.packages, ...missing });
  lock.packages = Object.fromEntries(
    entries.toSorted(([a], [b]) => (a === b ? 0 : a.localeCompare(b, 'en'))),
  );
  writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`added ${names.length} platform packages to ${name}`);
  return true;
}

if (!LOCKS.map(complete).every(Boolean)) {
  console.error('Run: node scripts/lib/complete-lock.mjs');
  process.exitCode = 1;
}
