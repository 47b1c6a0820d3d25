/** The machine and the folder of the data: Node, disk, memory, keys. */
import { existsSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { freemem, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import type { Env } from '../config/env.schema.js';
import { type Finding, ok, off, problem } from './doctor-report.js';

const MIN_NODE = 24;
const GIB = 1024 ** 3;
/** Free disk above the floor below which it is time to make room. */
const MIN_DISK_BYTES = GIB;

const gib = (bytes: number): string => `${(bytes / GIB).toFixed(1)} GiB`;

export function checkNode(version = process.versions.node): Finding[] {
  const major = Number(version.split('.')[0]);
  if (major >= MIN_NODE) return [ok('Node', `${version}`)];
  return [problem('Node', `${version} is too old for the server, which needs ${MIN_NODE}`, 'npm run setup')];
}

/** The closest folder that exists: before the first start there is no data folder. */
function closestFolder(path: string): string {
  return existsSync(path) ? path : closestFolder(dirname(path));
}

export function checkDisk(dataDir: string, floorBytes: number): Finding[] {
  const folder = closestFolder(dataDir);
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  const says = `${gib(free)} free in ${folder}`;
  if (free >= floorBytes + MIN_DISK_BYTES) return [ok('disk', says)];
  const told =
    free < floorBytes
      ? `${says}, less than DISK_FLOOR_BYTES (${gib(floorBytes)}): nothing is stored until there is room`
      : `${says}; below ${gib(floorBytes)} (DISK_FLOOR_BYTES) nothing is stored any more`;
  return [problem('disk', told, `df -h ${folder}`)];
}

/** What programs may still take, which is more than what lies idle. */
function availableMemory(): number {
  const file = '/proc/meminfo';
  const match = existsSync(file) ? /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync(file, 'utf8')) : null;
  return match ? Number(match[1]) * 1024 : freemem();
}

export function checkMemory(env: Env): Finding[] {
  const free = availableMemory();
  const says = `${gib(free)} of ${gib(totalmem())} available; no sandbox starts below ${gib(env.MEMORY_FLOOR_BYTES)}`;
  if (free > env.MEMORY_FLOOR_BYTES) return [ok('memory', says)];
  return [problem('memory', says, 'stop other programs, or lower MEMORY_FLOOR_BYTES')];
}

function checkKey(name: string, variable: string, value: string | undefined, path: string): Finding {
  if (value !== undefined) {
    return value.length >= 16
      ? ok(name, `from ${variable}`)
      : problem(name, `${variable} has fewer than 16 characters and can be guessed`, 'openssl rand -hex 24');
  }
  if (!existsSync(path)) return off(name, `made at first start, in ${path}`, 'npm start');
  if (readFileSync(path, 'utf8').trim() === '') {
    return problem(name, `${path} is empty`, `rm ${path}    # npm start makes a new key`);
  }
  if ((statSync(path).mode & 0o077) !== 0) {
    return problem(name, `${path} can be read by other users of this machine`, `chmod 600 ${path}`);
  }
  return ok(name, path);
}

export function checkKeys(env: Env, dataDir: string): Finding[] {
  return [
    checkKey('API key', 'API_KEY', env.API_KEY, join(dataDir, 'api-key')),
    checkKey('admin key', 'ADMIN_KEY', env.ADMIN_KEY, join(dataDir, 'admin-key')),
  ];
}
