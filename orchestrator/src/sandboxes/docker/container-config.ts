/** A sandbox's spec → what Docker is asked for. Pure; every line of hardening is here. */
import type Docker from 'dockerode';
import type { SandboxSpec } from '../sandbox.driver.js';
import type { SandboxFolders } from './channel-dir.js';

/** Where things are inside. */
export const GUEST_CHANNEL = '/run/sandbox';
export const GUEST_DATA = '/mnt/data';
const GUEST_TMP = '/tmp';

/** Bytes. /tmp is disk-backed like the data; /dev/shm counts as memory of the sandbox. */
const TMP_BYTES = 1_073_741_824;
const SHM_BYTES = 67_108_864;
const MAX_LOG = '1m';
const MAX_OPEN_FILES = 4_096;
/** Added to a sandbox's badness when the host runs out of memory: it goes before what the host needs. */
const OOM_SCORE_ADJ = 600;
/**
 * Tasks that the host may see. Running into it kills the whole sandbox, so it is a last resort far
 * above what `maxProcesses` inside can cause: each guest thread needs a few host threads.
 */
const pidsLimit = (maxProcesses: number): number => 1_024 + 4 * maxProcesses;

/**
 * What PID 1 needs to run a kernel and file workers as another user, to take every capability out of
 * their reach, and to clean up after them.
 */
const CAPABILITIES = ['SETUID', 'SETGID', 'KILL', 'CHOWN', 'DAC_OVERRIDE', 'SETPCAP'];

export interface ContainerSettings {
  readonly name: string;
  readonly image: string;
  readonly runtime: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly folders: SandboxFolders;
  /** RLIMIT_NPROC of user code: processes and threads. */
  readonly maxProcesses: number;
  /** Python modules that are imported when a sandbox is ready. */
  readonly preload: readonly string[];
  /** CPUs at most, e.g. 1.5; all of the host's if absent. */
  readonly cpus?: number;
  /** Bytes between what is promised to user code and the host's hard limit. */
  readonly headroomBytes: number;
  /** The cgroup above all sandboxes, as the engine names it; the engine's own if absent. */
  readonly cgroupParent?: string;
  /** The image of a checkpoint that the sandbox is made from; it starts from nothing if absent. */
  readonly restoreFrom?: string;
  /** The engine's API takes OCI annotations (1.43 and newer). */
  readonly annotations: boolean;
}

interface Disk {
  readonly path: string;
  readonly source: string;
  readonly bytes: number;
  readonly mode: string;
  readonly owner: number;
  readonly noexec: boolean;
}

function disks(spec: SandboxSpec, folders: SandboxFolders): readonly Disk[] {
  return [
    {
      path: GUEST_DATA,
      source: folders.data,
      bytes: spec.dataBytes,
      mode: '0700',
      owner: 1000,
      noexec: false,
    },
    { path: GUEST_TMP, source: folders.tmp, bytes: TMP_BYTES, mode: '1777', owner: 0, noexec: true },
  ];
}

/** For our OCI runtime (sandbox/runtime), which turns it into mount hints and hides it from the guest. */
function diskRequest(all: readonly Disk[]): string {
  return all
    .map(({ path, bytes, mode, owner, noexec }) => {
      const options = [`mode=${mode}`, `uid=${owner}`, `gid=${owner}`, ...(noexec ? ['noexec'] : [])];
      return `${path}=${bytes}:${options.join(':')}`;
    })
    .join(',');
}

/** The same for gVisor itself, where the engine can hand annotations to any runtime. */
function mountHints(all: readonly Disk[]): Record<string, string> {
  const hints = all.flatMap(({ source, bytes, mode, owner }, index) => {
    const prefix = `dev.gvisor.spec.mount.disk${index}`;
    return [
      [`${prefix}.source`, source],
      [`${prefix}.type`, 'tmpfs'],
      [`${prefix}.share`, 'container'],
      [`${prefix}.options`, `rw,mode=${mode},uid=${owner},gid=${owner},size=${bytes}`],
    ] as const;
  });
  return Object.fromEntries(hints);
}

function bind(source: string, target: string): Docker.MountSettings {
  return {
    Type: 'bind',
    Source: source,
    Target: target,
    ReadOnly: false,
    BindOptions: { Propagation: 'private' },
  };
}

const hard = (name: string, limit: number): Docker.Ulimit => ({ Name: name, Soft: limit, Hard: limit });

function environment(spec: SandboxSpec, settings: ContainerSettings): string[] {
  return [
    // The first three are for our OCI runtime alone, which takes them away.
    `SANDBOX_DISK_MOUNTS=${diskRequest(disks(spec, settings.folders))}`,
    `SANDBOX_CHECKPOINT_TO=${settings.folders.image}`,
    ...(settings.restoreFrom === undefined ? [] : [`SANDBOX_RESTORE_FROM=${settings.restoreFrom}`]),
    `SANDBOX_MEMORY_BYTES=${spec.memoryBytes}`,
    `SANDBOX_MAX_FILES=${spec.maxFiles}`,
    `SANDBOX_MAX_PROCESSES=${settings.maxProcesses}`,
    `SANDBOX_PRELOAD=${settings.preload.join(',')}`,
  ];
}

function hostConfig(spec: SandboxSpec, settings: ContainerSettings): Docker.HostConfig {
  const { folders } = settings;
  const all = disks(spec, folders);
  const memory = spec.memoryBytes + settings.headroomBytes;
  return {
    Runtime: settings.runtime,
    NetworkMode: 'none',
    // Otherwise Docker copies the host's resolvers and search domains into the sandbox.
    Dns: ['127.0.0.1'],
    DnsSearch: ['.'],
    ReadonlyRootfs: true,
    CapDrop: ['ALL'],
    CapAdd: CAPABILITIES,
    SecurityOpt: ['no-new-privileges'],
    Privileged: false,
    IpcMode: 'private',
    Memory: memory,
    MemorySwap: memory,
    OomScoreAdj: OOM_SCORE_ADJ,
    ...(settings.cgroupParent === undefined ? {} : { CgroupParent: settings.cgroupParent }),
    PidsLimit: pidsLimit(settings.maxProcesses),
    ...(settings.cpus === undefined ? {} : { NanoCpus: Math.round(settings.cpus * 1e9) }),
    ShmSize: SHM_BYTES,
    Ulimits: [
      hard('nproc', settings.maxProcesses),
      hard('nofile', MAX_OPEN_FILES),
      hard('core', 0),
      hard('fsize', Math.max(spec.dataBytes, TMP_BYTES)),
    ],
    Mounts: [bind(folders.channel, GUEST_CHANNEL), ...all.map(({ source, path }) => bind(source, path))],
    LogConfig: { Type: 'json-file', Config: { 'max-size': MAX_LOG, 'max-file': '1' } },
    RestartPolicy: { Name: '' },
    AutoRemove: false,
    ...(settings.annotations ? { Annotations: mountHints(all) } : {}),
  };
}

/** Options of Docker's container create for a sandbox of `spec`. */
export function toCreateOptions(
  spec: SandboxSpec,
  settings: ContainerSettings,
): Docker.ContainerCreateOptions {
  return {
    name: settings.name,
    Image: settings.image,
    Hostname: 'sandbox',
    Domainname: '',
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    OpenStdin: false,
    Tty: false,
    NetworkDisabled: true,
    Env: environment(spec, settings),
    Labels: { ...settings.labels },
    HostConfig: hostConfig(spec, settings),
  };
}
