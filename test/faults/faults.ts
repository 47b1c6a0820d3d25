/** What may go wrong: each fault breaks one thing of a running server and mends what a host would mend. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Api, Page } from '../support/api.js';
import type { TestServer } from '../support/server.js';
import { type Daemon, isOwnEngine, killDaemons } from './engine-daemons.js';
import { canSlowDisks, fillDisk, type OwnDisks, slowDisks } from './own-disks.js';
import type { Chance } from './random.js';

const run = promisify(execFile);

export interface World {
  readonly server: TestServer;
  readonly api: Api;
  readonly chance: Chance;
  /** Small disks that blobs and database lie on; undefined where none can be mounted. */
  readonly disks: OwnDisks | undefined;
}

export interface Fault {
  readonly name: string;
  /** A server alone, or the engine that others may use too. */
  readonly breaks: 'server' | 'engine';
  readonly possible?: (world: Pick<World, 'disks'>) => boolean;
  /** Resolves when the fault is over; the server may still have to recover. */
  readonly happen: (world: World) => Promise<void>;
}

/** For which a response belongs to the process that runs it. */
export const LEASE_MS = 5_000;

/** Kills a process that may have ended by itself. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

const commandOf = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
};

/** Pids of processes whose command holds all these words. */
const processesWith = (...words: readonly string[]): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && words.every((word) => commandOf(name).includes(word)))
    .map(Number);

function postmaster(server: TestServer): number {
  const file = join(server.dataDir, 'postgres/cluster/postmaster.pid');
  return existsSync(file) ? Number(readFileSync(file, 'utf8').split('\n')[0]) : 0;
}

async function killDatabase({ server }: World, name: NodeJS.Signals): Promise<void> {
  const pid = postmaster(server);
  if (pid > 0) signal(pid, name);
  await sleep(500);
}

/** All processes of this server's PostgreSQL stand still for a while. */
async function pauseDatabase({ server, chance }: World): Promise<void> {
  const pid = postmaster(server);
  const all = pid > 0 ? [pid, ...childrenOf(pid)] : [];
  for (const each of all) signal(each, 'SIGSTOP');
  await sleep(chance.whole(1_000, 8_000));
  for (const each of all) signal(each, 'SIGCONT');
}

const childrenOf = (parent: number): number[] =>
  processesWith().filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')[1] === String(parent);
    } catch {
      return false;
    }
  });

async function pauseServer({ server, chance }: World, least: number, most: number): Promise<void> {
  const { pid } = server;
  signal(pid, 'SIGSTOP');
  await sleep(chance.whole(least, most));
  signal(pid, 'SIGCONT');
}

async function killServer({ server, chance }: World, name: NodeJS.Signals): Promise<void> {
  await server.kill(name);
  await sleep(chance.whole(0, 2_000));
  await server.start();
}

async function oneSandbox({ server, chance }: World): Promise<string | undefined> {
  const ids = await server.sandboxes();
  return ids.length === 0 ? undefined : chance.pick(ids);
}

async function killSandbox(world: World): Promise<void> {
  const id = await oneSandbox(world);
  const host = process.env['DOCKER_HOST'];
  if (id === undefined) return;
  // It may have ended in this moment by itself.
  await run('docker', [...(host ? ['--host', host] : []), 'kill', id]).catch(() => undefined);
}

async function killGofer(world: World): Promise<void> {
  const id = await oneSandbox(world);
  if (id === undefined) return;
  for (const pid of processesWith('runsc-gofer', id)) signal(pid, 'SIGKILL');
}

/** User code that kills the process it runs in, with the variables of others' executions. */
async function killKernel({ api, chance }: World): Promise<void> {
  const { body } = await api.get<Page<{ id: string }>>('/containers?limit=100');
  if (body.data.length === 0) return;
  const code = 'import os, signal; os.kill(os.getpid(), signal.SIGKILL)';
  await api.post(`/containers/${chance.pick(body.data).id}/executions`, { code });
}

/** Not a byte is free on one of the disks for a while. */
const diskFull = (name: string, which: keyof OwnDisks): Fault => ({
  name,
  breaks: 'server',
  possible: ({ disks }) => disks !== undefined,
  happen: ({ disks, chance }) => fillDisk(disks![which], chance.whole(1_000, 5_000)),
});

/** Server and database wait for every read and write, as on a disk that dies or that others use up. */
async function slowDown({ server, disks, chance }: World): Promise<void> {
  const pid = postmaster(server);
  const pids = [server.pid, ...(pid > 0 ? [pid, ...childrenOf(pid)] : [])];
  await slowDisks(Object.values(disks!), pids, chance.whole(10, 40), chance.whole(2_000, 6_000));
}

/** Sandboxes outlive the daemons; what was being started or removed is in any state. */
const engineFault = (...daemons: Daemon[]): Fault => ({
  name: `${daemons.join(' and ')} killed`,
  breaks: 'engine',
  possible: isOwnEngine,
  happen: () => killDaemons(daemons),
});

const serverFault = (name: string, happen: Fault['happen']): Fault => ({ name, breaks: 'server', happen });

export const FAULTS: readonly Fault[] = [
  serverFault('server killed', (world) => killServer(world, 'SIGKILL')),
  serverFault('server stopped', (world) => killServer(world, 'SIGTERM')),
  serverFault('server paused', (world) => pauseServer(world, 500, 4_000)),
  {
    name: 'server paused beyond its leases',
    breaks: 'server',
    happen: (world) => pauseServer(world, LEASE_MS + 2_000, LEASE_MS + 8_000),
  },
  serverFault('database killed', (world) => killDatabase(world, 'SIGKILL')),
  serverFault('database stopped', (world) => killDatabase(world, 'SIGINT')),
  serverFault('database paused', pauseDatabase),
  serverFault('sandbox killed', killSandbox),
  serverFault('gofer killed', killGofer),
  serverFault('kernel killed', killKernel),
  {
    name: 'server and sandboxes killed',
    breaks: 'server',
    happen: async ({ server }) => {
      await server.kill('SIGKILL');
      await server.removeSandboxes();
      await server.start();
    },
  },
  engineFault('dockerd'),
  engineFault('containerd'),
  engineFault('dockerd', 'containerd'),
  diskFull('disk full', 'blobs'),
  diskFull('disk of the database full', 'postgres'),
  {
    name: 'disks slow',
    breaks: 'server',
    possible: ({ disks }) => disks !== undefined && canSlowDisks(),
    happen: slowDown,
  },
];
