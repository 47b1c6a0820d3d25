/** Starts a throw-away container and looks from inside at what the runtime really gives. */
import { setTimeout as sleep } from 'node:timers/promises';
import { SandboxError, type SandboxSpec } from '../sandbox.driver.js';
import type { ChannelDir } from './channel-dir.js';
import { GUEST_DATA, toCreateOptions, type ContainerSettings } from './container-config.js';
import type { DockerEngine } from './docker-engine.js';

export interface ProbeResult {
  readonly isolation: 'gvisor' | 'none';
  /** A file larger than the data limit could not be written. */
  readonly dataLimited: boolean;
  readonly kernel: string;
  /** The guest is told when a checkpoint is over, as it is by newer releases of gVisor. */
  readonly tellsOfCheckpoints: boolean;
}

const PROBE_TIMEOUT_MS = 30_000;
const POLL_MS = 10;
/** Bytes and mebibytes: the probe writes twice as much as it may. */
const DATA_BYTES = 8_388_608;
const WRITE_MIB = 16;
export const PROBE_SPEC: SandboxSpec = { memoryBytes: 134_217_728, dataBytes: DATA_BYTES, maxFiles: 10 };

/** gVisor alone greets like this in its kernel log. */
const GREETING = 'Starting gVisor';

/** RLIMIT_FSIZE would stop one file; two of them are stopped by the file system only. */
const SCRIPT = `
dmesg 2>/dev/null | grep -c '${GREETING}' | sed 's/^/gvisor=/'
sed 's/^/kernel=/' /proc/version
[ ! -e /proc/gvisor/checkpoint ] || echo checkpoint=1
for i in 1 2; do dd if=/dev/zero of=${GUEST_DATA}/probe$i bs=1M count=${WRITE_MIB / 2} 2>/dev/null; done
cat ${GUEST_DATA}/probe* | wc -c | sed 's/^/written=/'
`;

export function parseProbe(text: string): ProbeResult {
  const values = new Map(
    text.split('\n').map((line) => line.split(/=(.*)/s, 2) as [string, string | undefined]),
  );
  const written = Number(values.get('written') ?? 0);
  // Nothing written proves nothing about a limit.
  if (!(written > 0)) {
    throw new SandboxError(
      'start_failed',
      `the probe of the runtime said nothing useful: ${text.slice(0, 200)}`,
    );
  }
  return {
    isolation: Number(values.get('gvisor') ?? 0) > 0 ? 'gvisor' : 'none',
    dataLimited: written <= DATA_BYTES,
    tellsOfCheckpoints: values.get('checkpoint') === '1',
    kernel: (values.get('kernel') ?? 'unknown').slice(0, 120),
  };
}

async function waitForExit(engine: DockerEngine, name: string): Promise<void> {
  const deadline = Date.now() + PROBE_TIMEOUT_MS;
  while ((await engine.inspect(name)).running) {
    if (Date.now() > deadline) {
      throw new SandboxError(
        'start_failed',
        `the probe of the runtime took longer than ${PROBE_TIMEOUT_MS} ms`,
      );
    }
    await sleep(POLL_MS);
  }
}

/** Rejects with `start_failed` or `engine_unavailable`; leaves nothing behind. */
export async function probeIsolation(
  engine: DockerEngine,
  channels: ChannelDir,
  settings: Omit<ContainerSettings, 'folders'>,
): Promise<ProbeResult> {
  const { name } = settings;
  try {
    const folders = await channels.create(name);
    const options = toCreateOptions(PROBE_SPEC, { ...settings, folders });
    await engine.create({ ...options, Entrypoint: ['/bin/sh', '-c', SCRIPT], Cmd: [], User: '0:0' });
    await engine.start(name);
    await waitForExit(engine, name);
    return parseProbe(await engine.logTail(name, 20));
  } finally {
    await engine.remove(name);
    await channels.remove(name);
  }
}
