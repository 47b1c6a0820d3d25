import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Docker from 'dockerode';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ChannelDir } from '../../../orchestrator/src/sandboxes/docker/channel-dir.js';
import type { ContainerState } from '../../../orchestrator/src/sandboxes/docker/docker-engine.js';
import { SandboxStarter, type Started } from '../../../orchestrator/src/sandboxes/docker/sandbox-starter.js';
import { PROTOCOL } from '../../../orchestrator/src/sandboxes/docker/supervisor.schema.js';
import { SandboxError, type SandboxId } from '../../../orchestrator/src/sandboxes/sandbox.driver.js';
import { SupervisorServer } from '../../fakes/sandboxes/supervisor-server.js';

const NAME = 'sandbox-1-a';
const SPEC = { memoryBytes: 1_073_741_824, dataBytes: 1_048_576, maxFiles: 7 };
const STATE: ContainerState = {
  engineId: 'e',
  imageId: 'i',
  running: true,
  outOfMemory: false,
  exitCode: 0,
  pid: 0,
  error: '',
  labels: {},
};

/** An engine whose containers are a supervisor that answers as the test says. */
describe('a sandbox that is to be made from an image', () => {
  let root: string;
  let channels: ChannelDir;
  let server: SupervisorServer | undefined;
  let created: Docker.ContainerCreateOptions[];
  let removed: string[];
  let configured: object[];
  let restored: boolean | undefined;
  let refuses: boolean;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'starter-'));
    channels = new ChannelDir(root, 'sandbox-1-');
    [created, removed, configured, restored, refuses, server] = [[], [], [], true, false, undefined];
  });
  afterEach(async () => {
    await server?.die();
    rmSync(root, { recursive: true, force: true });
  });

  async function boot(): Promise<void> {
    server = await SupervisorServer.listen(channels.folders(NAME).channel);
    server.answers['ping'] = (request, peer) =>
      peer.reply(request, 'done', {
        version: PROTOCOL,
        kernel: 'ready',
        uptime_ms: 1,
        ...(restored === undefined ? {} : { restored }),
      });
    server.answers['configure'] = (request, peer) => {
      configured.push(request.header);
      if (refuses) peer.reply(request, 'failed', { code: 'internal', message: 'Python does not start' });
      else peer.reply(request, 'done');
    };
  }

  function start(restoreFrom: string | undefined): Promise<Started> {
    const engine = {
      create: (options: Docker.ContainerCreateOptions) => Promise.resolve(void created.push(options)),
      start: boot,
      inspect: () => Promise.resolve(STATE),
      logTail: () => Promise.resolve(''),
    };
    const removal = {
      remove: async (name: string) => {
        removed.push(name);
        await channels.remove(name);
      },
    };
    const logger = { debug: () => undefined, warn: () => undefined };
    return new SandboxStarter(engine, channels, removal, logger).start({
      id: 'a' as SandboxId,
      spec: SPEC,
      settings: {
        name: NAME,
        image: 'i',
        runtime: 'r',
        labels: {},
        maxProcesses: 128,
        preload: [],
        headroomBytes: 0,
        annotations: false,
        ...(restoreFrom === undefined ? {} : { restoreFrom }),
      },
      timeoutMs: 5_000,
    });
  }

  it('is asked for with its folder, and has its own limits before anybody has it', async () => {
    const started = await start('/templates/1');
    expect(created[0]?.Env).toContain('SANDBOX_RESTORE_FROM=/templates/1');
    expect(configured).toMatchObject([{ memory_bytes: SPEC.memoryBytes, max_files: 7, warm_up: false }]);
    expect(removed).toEqual([]);
    started.client.close();
  });

  it.each([false, undefined])('is none where the runtime has started another: restored %s', async (told) => {
    restored = told;
    await expect(start('/templates/1')).rejects.toMatchObject({
      code: 'start_failed',
      message: expect.stringContaining('not restored') as unknown,
    });
    expect([configured, removed]).toEqual([[], [NAME]]);
    await expect.poll(() => server?.open).toBe(0);
  });

  it('is none where it cannot be given limits', async () => {
    refuses = true;
    await expect(start('/templates/1')).rejects.toBeInstanceOf(SandboxError);
    expect(removed).toEqual([NAME]);
  });

  it('or is one that started from nothing, which the pool claims', async () => {
    restored = false;
    const started = await start(undefined);
    expect(created[0]?.Env?.join()).not.toContain('SANDBOX_RESTORE_FROM');
    expect(configured).toEqual([]);
    started.client.close();
  });
});
