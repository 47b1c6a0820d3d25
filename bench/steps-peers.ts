/** What else runs code in gVisor, on the same engine, with the same image and in the same run. */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { engineSettings } from '../test/fakes/sandboxes/real-engine.js';
import type { Client } from './client.js';
import { type Row, rounds, summarise, timed } from './measure.js';

const run = promisify(execFile);
const HERE = join(import.meta.dirname, 'peers');
const FOLDER = resolve(import.meta.dirname, '../data/bench');
/** The Python of the sandbox image. */
const IMAGE_PYTHON = '3.13';
const GATEWAY = ['jupyter-kernel-gateway==3.0.1', 'ipykernel==7.4.0'];
const LLM_SANDBOX = ['llm-sandbox[docker]==0.3.46'];
/** What users import, so that all of them have done the same when their first result is here. */
const FIRST = 'import numpy, pandas, matplotlib.pyplot; print(1+1)';

export interface Peer {
  readonly name: string;
  /** Milliseconds from nothing to the first result, with the data stack imported. */
  readonly first: readonly number[];
  /** Milliseconds of each further `1+1`. */
  readonly further: readonly number[];
}

type Uv = (...args: readonly string[]) => void;

const docker = (...args: string[]): string[] => ['--host', engineSettings().dockerHost, ...args];

function container(...more: string[]): string[] {
  const { runtime, image } = engineSettings();
  return docker(
    'run',
    '--rm',
    `--runtime=${runtime}`,
    '--network=none',
    ...more,
    '--entrypoint',
    'python3',
    image,
  );
}

/** A container for each piece of code. */
export async function dockerRun(times: number): Promise<Peer> {
  const once = (code: string) => run('docker', [...container(), '-c', code]);
  return {
    name: 'docker run for each execution',
    first: await rounds(times, () => once(FIRST)),
    further: await rounds(times, () => once('print(1+1)')),
  };
}

/** This server as the others are measured: nothing is there before, and its pool is empty. */
export async function thisServer(client: Client, starts: number, times: number): Promise<Peer> {
  const [first, further]: [number[], number[]] = [[], []];
  for (let index = 0; index < starts; index += 1) {
    let id = '';
    first.push(
      await timed(async () => {
        id = await client.newContainer();
        await client.run(id, FIRST);
      }),
    );
    further.push(...(await rounds(times, () => client.run(id, 'print(1+1)'))));
    await client.deleteContainer(id);
  }
  return { name: 'this server, with an empty pool', first, further };
}

/** Puts these Python packages into a folder, once and whole. `make` calls uv with the arguments that it is given. */
function installed(packages: readonly string[], make: (uv: Uv, folder: string) => void): string {
  const folder = join(FOLDER, packages.join('+').replaceAll(/[^\w.+=-]/g, '-'));
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  const uv = resolve(import.meta.dirname, '../data/uv-venv/bin/uv');
  make(
    (...args) => void execFileSync(uv, ['--quiet', ...args], { stdio: ['ignore', 'ignore', 'inherit'] }),
    unfinished,
  );
  renameSync(unfinished, folder);
  return folder;
}

/** One container with a Jupyter Kernel Gateway and its kernel; asked from inside, so that no network is part of it. */
async function gatewayOnce(packages: string, times: number): Promise<{ first: number; further: number[] }> {
  const mounts = ['-v', `${packages}:/peer:ro`, '-v', `${HERE}:/bench:ro`];
  const home = ['-e', 'PYTHONPATH=/peer', '-e', 'HOME=/tmp', '-e', 'JUPYTER_PLATFORM_DIRS=1'];
  const began = performance.now();
  const child = spawn(
    'docker',
    [...container(...mounts, ...home), '/bench/kernel_gateway.py', String(times), FIRST],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let first = Number.NaN;
  let further: number[] = [];
  for await (const line of createInterface(child.stdout)) {
    if (line === 'first') first = performance.now() - began;
    else further = JSON.parse(line) as number[];
  }
  if (further.length === 0) throw new Error('the kernel gateway said nothing');
  return { first, further };
}

export async function kernelGateway(starts: number, times: number): Promise<Peer> {
  const packages = installed(GATEWAY, (uv, folder) =>
    uv(
      'pip',
      'install',
      '--target',
      folder,
      '--python-version',
      IMAGE_PYTHON,
      '--only-binary',
      ':all:',
      ...GATEWAY,
    ),
  );
  const [first, further]: [number[], number[]] = [[], []];
  for (let index = 0; index < starts; index += 1) {
    const one = await gatewayOnce(packages, times);
    first.push(one.first);
    further.push(...one.further);
  }
  return { name: 'Jupyter Kernel Gateway in a runsc container', first, further };
}

export async function llmSandbox(starts: number, times: number): Promise<Peer> {
  const { dockerHost, runtime, image } = engineSettings();
  const venv = installed(LLM_SANDBOX, (uv, folder) => {
    uv('venv', folder);
    uv('pip', 'install', '--python', join(folder, 'bin/python'), ...LLM_SANDBOX);
  });
  const [first, further]: [number[], number[]] = [[], []];
  for (let index = 0; index < starts; index += 1) {
    const args = [join(HERE, 'llm_sandbox_runs.py'), image, runtime, String(times), FIRST];
    const { stdout } = await run(join(venv, 'bin/python'), args, {
      env: { ...process.env, DOCKER_HOST: dockerHost },
    });
    const told = JSON.parse(stdout.trim().split('\n').at(-1)!) as { first: number; each: number[] };
    first.push(told.first);
    further.push(...told.each);
  }
  return { name: 'llm-sandbox on runsc', first, further };
}

export const peerRows = ({ name, first, further }: Peer): Row[] => [
  summarise(`${name}: first result, data stack imported`, first),
  summarise('  a further 1+1', further),
];

/** What a loop needs inside a container on each runtime, in milliseconds. */
const LOOPS: Readonly<Record<string, string>> = {
  'matrix product (BLAS)':
    'import numpy; a = numpy.random.rand(1000, 1000); a @ a\ndef loop():\n for _ in range(10): a @ a',
  'plain Python': 'def loop():\n n = 0\n for i in range(3_000_000): n += i',
  '2,000 small files':
    "import os\ndef loop():\n for i in range(2_000):\n  open(f'/tmp/{i}', 'w').close(); os.unlink(f'/tmp/{i}')",
};

export interface Loop {
  readonly name: string;
  readonly gvisor: readonly number[];
  readonly runc: readonly number[];
}

export async function loops(times: number): Promise<Loop[]> {
  const { runtime, image } = engineSettings();
  const measured = async (using: string, code: string): Promise<number[]> => {
    const timing = `${code}\nimport json, time\neach = []\nfor _ in range(${times}):\n t = time.monotonic(); loop(); each.append((time.monotonic() - t) * 1e3)\nprint(json.dumps(each))`;
    const args = ['run', '--rm', `--runtime=${using}`, '--network=none', '--entrypoint', 'python3', image];
    const { stdout } = await run('docker', docker(...args, '-c', timing));
    return JSON.parse(stdout) as number[];
  };
  const found: Loop[] = [];
  for (const [name, code] of Object.entries(LOOPS)) {
    found.push({ name, gvisor: await measured(runtime, code), runc: await measured('runc', code) });
  }
  return found;
}

export const loopRows = ({ name, gvisor, runc }: Loop): Row[] => [
  summarise(`${name}, in gVisor`, gvisor),
  summarise('  in runc', runc),
];
