/** The engine that tests on real sandboxes use, and what it must not be left with. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  DockerSandboxDriver,
  type DockerDriverOptions,
} from '../../../orchestrator/src/sandboxes/docker/docker.driver.js';
import { parseEnv } from '../../../orchestrator/src/config/env.js';
import { DockerEngine } from '../../../orchestrator/src/sandboxes/docker/docker-engine.js';
import { processesOf } from '../../../orchestrator/src/sandboxes/docker/leftover-processes.js';
import { installationPrefix } from '../../../orchestrator/src/sandboxes/docker/sandbox-labels.js';

/** Tests run with the bounds that the product has unless configured. */
const DEFAULTS = parseEnv({});

const ENV_FILE = resolve(import.meta.dirname, '../../../data/engine/env');

/** Images of warm sandboxes, which all tests share: to make one takes some seconds. */
export const TEMPLATE_DIR = resolve(import.meta.dirname, '../../../data/test-templates');

function fromFile(): Record<string, string> {
  if (!existsSync(ENV_FILE)) return {};
  const lines = readFileSync(ENV_FILE, 'utf8').split('\n');
  return Object.fromEntries(
    lines.flatMap((line) => (line.includes('=') ? [line.split(/=(.*)/s, 2) as [string, string]] : [])),
  );
}

/** True only where somebody said that there is none; tests then do not run at all. */
export const engineIsSkipped = process.env.CI_SKIP_ENGINE === '1';

/** Environment first, then what `scripts/engine up` wrote. Throws with the repair. */
export function engineSettings(): { dockerHost: string; runtime: string; image: string } {
  const values = { ...fromFile(), ...process.env };
  const { DOCKER_HOST: dockerHost, SANDBOX_RUNTIME: runtime, SANDBOX_IMAGE: image } = values;
  if (dockerHost === undefined || runtime === undefined || image === undefined) {
    throw new Error(
      'no Docker engine with gVisor and no sandbox image. Run: npm run setup (or set CI_SKIP_ENGINE=1)',
    );
  }
  return { dockerHost, runtime, image };
}

/** One installation of its own on the engine, so that tests never meet other sandboxes. */
export class TestInstallation {
  readonly id: string;
  readonly channelDir: string;
  readonly logs: string[] = [];
  private readonly changes: Partial<DockerDriverOptions>;

  constructor(name: string, changes: Partial<DockerDriverOptions> = {}) {
    this.id = `${name}-${process.pid}-${Date.now()}`;
    this.channelDir = mkdtempSync(join(tmpdir(), 'sandboxes-'));
    this.changes = changes;
  }

  newDriver(changes: Partial<DockerDriverOptions> = {}): DockerSandboxDriver {
    const log = (fields: object, message: string): void =>
      void this.logs.push(`${message} ${JSON.stringify(fields)}`);
    return new DockerSandboxDriver({
      ...engineSettings(),
      channelDir: this.channelDir,
      installationId: this.id,
      maxProcesses: DEFAULTS.SANDBOX_MAX_PROCESSES,
      // Imports are most of what a start costs.
      preload: [],
      floorBytes: DEFAULTS.MEMORY_FLOOR_BYTES,
      headroomBytes: DEFAULTS.SANDBOX_HEADROOM_BYTES,
      startTimeoutMs: 60_000,
      allowInsecure: false,
      logger: { debug: log, info: log, warn: log, error: log },
      ...this.changes,
      ...changes,
    });
  }

  /** The Docker container's name of a sandbox. */
  containerName(sandboxId: string): string {
    return `${installationPrefix(this.id)}${sandboxId}`;
  }

  /** What the client of Docker says; throws what it complains about. */
  docker(...args: string[]): string {
    return execFileSync('docker', ['--host', engineSettings().dockerHost, ...args], {
      encoding: 'utf8',
      stdio: 'pipe',
    });
  }

  async engineId(sandboxId: string): Promise<string> {
    return (await new DockerEngine(engineSettings().dockerHost).inspect(this.containerName(sandboxId)))
      .engineId;
  }

  /** Containers, folders and processes that are still there; sentences, none if all is well. */
  async leftovers(engineIds: readonly string[] = []): Promise<string[]> {
    const containers = await new DockerEngine(engineSettings().dockerHost).list(this.id);
    const processes = await Promise.all(engineIds.map(async (id) => [id, await processesOf(id)] as const));
    return [
      ...containers.map(({ engineId }) => `container ${engineId}`),
      ...readdirSync(this.channelDir).map((name) => `folder ${name}`),
      ...processes
        .filter(([, pids]) => pids.length > 0)
        .map(([id, pids]) => `processes ${pids.join(' ')} of ${id}`),
    ];
  }

  /** Removes the folder that the installation lived in. */
  remove(): void {
    rmSync(this.channelDir, { recursive: true, force: true });
  }
}
