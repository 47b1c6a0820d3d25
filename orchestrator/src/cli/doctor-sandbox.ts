/** Engine, runtime, image and disk limit, as the driver itself finds them in a throw-away container. */
import { existsSync, mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Env } from '../config/env.schema.js';
import { DockerSandboxDriver, type DriverLogger } from '../sandboxes/docker/docker.driver.js';
import { type Finding, note, off, ok, problem } from './doctor-report.js';
import type { DriverHealth } from '../sandboxes/sandbox.driver.js';

const silent: DriverLogger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** The command that a sentence of the driver ends with, if it has one. */
function splitRepair(sentence: string): { says: string; repair: string } {
  const match = /^(.*?)\.? Run: (.+)$/s.exec(sentence);
  if (match) return { says: match[1]!, repair: match[2]! };
  const inBrackets = /\((scripts\/[a-z ]+?) [a-z ]+\)\.?$/.exec(sentence);
  return { says: sentence, repair: inBrackets?.[1] ?? 'npm run setup' };
}

function findingsOf(health: DriverHealth, env: Env): Finding[] {
  const { details, isolation, problems } = health;
  const found: Finding[] = [];
  if (details['engine'] !== undefined) found.push(ok('engine', `Docker ${details['engine']}`));
  if (details['imageId'] !== undefined) found.push(ok('image', env.SANDBOX_IMAGE));
  if (details['kernel'] !== undefined && isolation === 'gvisor') {
    found.push(ok('runtime', `${health.runtime} is gVisor: code runs on its own kernel`));
    if (details['dataLimit'] === 'enforced') found.push(ok('data disk', 'the size limit of /mnt/data holds'));
  }
  found.push(...clonesOf(details['clones']));
  if (isolation === 'none' && problems.length === 0) {
    const says = `${health.runtime} is not gVisor, allowed by ALLOW_INSECURE_SANDBOX: code shares the host's kernel`;
    found.push(problem('runtime', says, 'unset ALLOW_INSECURE_SANDBOX and SANDBOX_RUNTIME; npm run setup'));
  }
  const broken = problems.map((sentence) => {
    const { says, repair } = splitRepair(sentence);
    return problem(nameOf(sentence), says, repair);
  });
  return [...found, ...broken];
}

/** As the driver says it: `possible`, or `off: why. Run… what to do`. */
function clonesOf(says: string | undefined): Finding[] {
  if (says === undefined) return [];
  if (says === 'possible') return [ok('clones', 'sandboxes can be made from a warm one, in half a second')];
  const [why = '', repair = 'see Sizing in docs/operations.md'] = says
    .replace(/^off: /, '')
    .split(/\. (?=Run)/);
  return [
    note('clones', `each sandbox starts from nothing, in seconds: ${why}`, repair.replace(/^Run: /, '')),
  ];
}

function nameOf(sentence: string): string {
  if (sentence.includes('/mnt/data')) return 'data disk';
  if (sentence.includes('image')) return 'image';
  return sentence.includes('runtime') ? 'runtime' : 'engine';
}

/** The private engine leaves its name in the environment, and no socket when it is down. */
function privateEngineIsDown(env: Env): boolean {
  const socket = /^unix:\/\/(\/run\/code-interpreter-.+)$/.exec(env.DOCKER_HOST ?? '')?.[1];
  return socket !== undefined && !existsSync(socket);
}

export async function checkSandboxes(env: Env, dataDir: string): Promise<Finding[]> {
  if (privateEngineIsDown(env)) {
    return [
      off('engine', 'the private engine is down; runtime and image were not checked', 'scripts/engine up'),
    ];
  }
  mkdirSync(dataDir, { recursive: true });
  const channelDir = await mkdtemp(join(dataDir, 'doctor-'));
  const driver = new DockerSandboxDriver({
    ...(env.DOCKER_HOST === undefined ? {} : { dockerHost: env.DOCKER_HOST }),
    runtime: env.SANDBOX_RUNTIME,
    image: env.SANDBOX_IMAGE,
    channelDir,
    // Its own name, so that a server that runs is not disturbed.
    installationId: `doctor-${process.pid}`,
    maxProcesses: env.SANDBOX_MAX_PROCESSES,
    preload: env.SANDBOX_PRELOAD,
    floorBytes: env.MEMORY_FLOOR_BYTES,
    headroomBytes: env.SANDBOX_HEADROOM_BYTES,
    startTimeoutMs: env.SANDBOX_START_TIMEOUT_MS,
    allowInsecure: env.ALLOW_INSECURE_SANDBOX,
    logger: silent,
  });
  try {
    return findingsOf(await driver.check(), env);
  } finally {
    await driver.close();
    await rm(channelDir, { recursive: true, force: true });
  }
}
