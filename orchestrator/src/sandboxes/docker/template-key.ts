/** What an image of a sandbox depends on. What gVisor itself compares (its own version) is not in it. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { SandboxSpec } from '../sandbox.driver.js';
import { toCreateOptions, type ContainerSettings } from './container-config.js';
import type { HostFacts } from './host-check.js';

/** Goes into every key: raise it when templates are made in another way. */
const RECIPE = 1;

const NOWHERE = { channel: '/channel', data: '/data', tmp: '/tmp', image: '/image', origin: '/origin' };

/** The text of our runtime and what the processor can do; nothing where they cannot be seen from here. */
async function read(path: string | undefined): Promise<string> {
  return path === undefined ? '' : readFile(path, 'utf8').catch(() => '');
}

function processorFlags(cpuinfo: string): string {
  return /^(flags|Features)\s*:\s*(.*)$/m.exec(cpuinfo)?.[2] ?? '';
}

/** 32 hexadecimal digits. `spec` without its memory size, which may differ between a sandbox and its clones. */
export async function templateKey(
  host: Pick<HostFacts, 'engine' | 'imageId'>,
  spec: SandboxSpec,
  settings: Omit<ContainerSettings, 'folders'>,
): Promise<string> {
  const { runtime } = settings;
  const shape = toCreateOptions(
    { ...spec, memoryBytes: 0, labels: {} },
    { ...settings, name: '', labels: {}, folders: NOWHERE },
  );
  const runtimePath = host.engine.runtimePaths[runtime];
  const parts = [
    RECIPE,
    host.imageId,
    host.engine.version,
    runtimePath,
    await read(runtimePath),
    processorFlags(await read('/proc/cpuinfo')),
    shape,
  ];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32);
}
