/** The few things that sandboxes need of the Docker engine, with errors of the port. */
import Docker from 'dockerode';
import { setTimeout as sleep } from 'node:timers/promises';
import { SandboxError } from '../sandbox.driver.js';
import { classify, toEngineError, type EngineOperation } from './engine-errors.js';
import type { CgroupSetup } from './parent-cgroup.js';
import { INSTALLATION_LABEL } from './sandbox-labels.js';

/** Silence of the engine after which a request counts as failed, in milliseconds. */
const REQUEST_TIMEOUT_MS = 60_000;
/** Pauses between attempts to remove a container, in milliseconds. */
const REMOVE_PAUSES_MS = [20, 50, 100, 200, 500, 1_000, 2_000];

export interface EngineFacts {
  readonly version: string;
  readonly apiVersion: string;
  readonly runtimes: readonly string[];
  /** Paths of the runtimes that have one, by name. */
  readonly runtimePaths: Readonly<Record<string, string>>;
  /** It makes checkpoints. */
  readonly experimental: boolean;
  readonly cgroups: CgroupSetup;
}

interface EngineInfo {
  readonly Runtimes?: Readonly<Record<string, { readonly path?: string }>>;
  readonly ExperimentalBuild?: boolean;
  readonly CgroupDriver?: string;
  readonly CgroupVersion?: string;
}

export interface ContainerState {
  /** Docker's own id, 64 hexadecimal digits. */
  readonly engineId: string;
  /** Docker's id of the image it was made from. */
  readonly imageId: string;
  readonly running: boolean;
  readonly outOfMemory: boolean;
  readonly exitCode: number;
  /** Of the sandbox's first process on the host; 0 when it does not run. */
  readonly pid: number;
  readonly error: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface ContainerSummary {
  readonly engineId: string;
  readonly running: boolean;
  readonly labels: Readonly<Record<string, string>>;
}

function connectOptions(host: string | undefined): Docker.DockerOptions {
  if (host === undefined) return { socketPath: '/var/run/docker.sock', timeout: REQUEST_TIMEOUT_MS };
  if (host.startsWith('unix://'))
    return { socketPath: host.slice('unix://'.length), timeout: REQUEST_TIMEOUT_MS };
  throw new SandboxError(
    'engine_unavailable',
    `sandboxes need a Docker engine on this host: the address must start with unix://, got ${host}`,
  );
}

/** Docker multiplexes: 8 bytes of header with the length in the last four, then the text. */
export function demultiplex(stream: Buffer): string {
  const parts: Buffer[] = [];
  for (let at = 0; at + 8 <= stream.length; ) {
    const length = stream.readUInt32BE(at + 4);
    parts.push(stream.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return Buffer.concat(parts).toString('utf8');
}

async function translated<T>(operation: EngineOperation, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toEngineError(operation, error);
  }
}

function pathsOf(runtimes: NonNullable<EngineInfo['Runtimes']>): Record<string, string> {
  const found = Object.entries(runtimes).map(([name, { path = '' }]) => [name, path] as const);
  return Object.fromEntries(found.filter(([, path]) => path !== ''));
}

/** A part of dockerode that its types leave out. */
interface Checkpoints {
  createCheckpoint(options: { CheckpointID: string; Exit: boolean }): Promise<unknown>;
}

export class DockerEngine {
  private readonly docker: Docker;

  constructor(host: string | undefined) {
    this.docker = new Docker(connectOptions(host));
  }

  facts(): Promise<EngineFacts> {
    return translated('ask', async () => {
      const [version, info] = await Promise.all([
        this.docker.version(),
        this.docker.info() as Promise<EngineInfo>,
      ]);
      return {
        version: version.Version,
        apiVersion: version.ApiVersion,
        runtimes: Object.keys(info.Runtimes ?? {}),
        runtimePaths: pathsOf(info.Runtimes ?? {}),
        experimental: info.ExperimentalBuild === true,
        cgroups: { driver: info.CgroupDriver ?? '', version: info.CgroupVersion === '2' ? 2 : 1 },
      };
    });
  }

  /** The id of the image, or `undefined` if the engine does not have it. */
  async imageId(image: string): Promise<string | undefined> {
    try {
      return (await this.docker.getImage(image).inspect()).Id;
    } catch (error) {
      if (classify(error) === 'absent') return undefined;
      throw toEngineError('ask', error);
    }
  }

  async create(options: Docker.ContainerCreateOptions): Promise<void> {
    await translated('create', () => this.docker.createContainer(options));
  }

  async start(name: string): Promise<void> {
    await translated('start', () => this.docker.getContainer(name).start());
  }

  /**
   * Writes a parked sandbox down in its folder `image`, through our runtime, and ends it. Needs an experimental
   * engine. Rejects with `start_failed` when the sandbox goes on instead.
   */
  async checkpoint(name: string): Promise<void> {
    const container = this.docker.getContainer(name) as unknown as Checkpoints;
    await translated('checkpoint', () => container.createCheckpoint({ CheckpointID: 'image', Exit: true }));
  }

  /** Rejects with `gone` if there is no such container. */
  inspect(name: string): Promise<ContainerState> {
    return translated('find', async () => {
      const found = await this.docker.getContainer(name).inspect();
      return {
        engineId: found.Id,
        imageId: found.Image,
        running: found.State.Running,
        outOfMemory: found.State.OOMKilled,
        exitCode: found.State.ExitCode,
        pid: found.State.Pid,
        error: found.State.Error,
        labels: found.Config.Labels,
      };
    });
  }

  /** All containers of an installation, whatever their state. */
  list(installationId: string): Promise<readonly ContainerSummary[]> {
    const filters = { label: [`${INSTALLATION_LABEL}=${installationId}`] };
    return translated('ask', async () => {
      const found = await this.docker.listContainers({ all: true, filters });
      return found.map(({ Id, State, Labels }) => ({
        engineId: Id,
        running: State === 'running',
        labels: Labels,
      }));
    });
  }

  /** The end of what the container wrote to its standard streams. */
  logTail(name: string, lines: number): Promise<string> {
    return translated('find', async () => {
      const options = { stdout: true, stderr: true, follow: false, tail: lines } as const;
      return demultiplex(await this.docker.getContainer(name).logs(options));
    });
  }

  /**
   * Until the engine has noticed that a container ended, at most `timeoutMs`. For a container whose
   * process was killed: containerd's shim tells of exits one after the other and gives each a second
   * while it carries out an order to kill, so such an order is not to be given before.
   */
  async waitForEnd(name: string, timeoutMs: number): Promise<void> {
    const abortSignal = AbortSignal.timeout(timeoutMs);
    // Whatever comes of it, what follows is the removal, which tells what is wrong.
    await this.docker
      .getContainer(name)
      .wait({ condition: 'not-running', abortSignal })
      .catch(() => undefined);
  }

  /**
   * Kills and removes; idempotent. Tries again while the engine is busy with the same container or
   * hiccups, for some four seconds.
   */
  async remove(name: string): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        await this.docker.getContainer(name).remove({ force: true, v: true });
        return;
      } catch (error) {
        if (classify(error) === 'absent') return;
        const pause = REMOVE_PAUSES_MS[attempt];
        if (pause === undefined) throw toEngineError('remove', error);
        await sleep(pause);
      }
    }
  }
}
