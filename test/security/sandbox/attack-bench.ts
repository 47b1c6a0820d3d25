/**
 * Two real sandboxes for a file of attacks: one is attacked, the other must not notice. After each
 * case the neighbour has to answer; at the end nothing may be left on the host.
 */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
import type {
  ExecuteOptions,
  Sandbox,
  SandboxSpec,
} from '../../../orchestrator/src/sandboxes/sandbox.driver.js';
import type { DockerSandboxDriver } from '../../../orchestrator/src/sandboxes/docker/docker.driver.js';
import { run, type Told } from '../../contract/sandbox-driver.helpers.js';
import { TEMPLATE_DIR, TestInstallation } from '../../fakes/sandboxes/real-engine.js';

const GIB = 1_073_741_824;
export const MIB = 1_048_576;
export const MAX_PROCESSES = 128;
export const ATTACK_SPEC: SandboxSpec = { memoryBytes: GIB, dataBytes: 256 * MIB, maxFiles: 1_000 };
const NEIGHBOUR_SPEC: SandboxSpec = { memoryBytes: GIB / 2, dataBytes: 16 * MIB, maxFiles: 100 };
/** The neighbour has this long for 1+1, in milliseconds. */
const NEIGHBOUR_PATIENCE_MS = 2_000;

/** What the attacked sandbox was before it was attacked. */
export type Origin = 'nothing' | 'clone' | 'sleep';
export const ORIGINS: readonly Origin[] = ['nothing', 'clone', 'sleep'];
/** What the log says of them. */
const PROOFS: Partial<Record<Origin, string>> = { clone: '"clone":true', sleep: 'sandbox woken' };

export class AttackBench {
  readonly here: TestInstallation;
  driver!: DockerSandboxDriver;
  private readonly engineIds: string[] = [];
  private inUse: Sandbox | undefined;
  private other: Sandbox | undefined;
  private attackedIsDead = false;

  /** The sandboxes that are attacked are clones, as most are, unless told otherwise. */
  constructor(
    name: string,
    private readonly origin: Origin = 'clone',
  ) {
    const asleep = mkdtempSync(join(tmpdir(), 'security-asleep-'));
    this.here = new TestInstallation(`security-${name}`, {
      maxProcesses: MAX_PROCESSES,
      ...(origin === 'nothing'
        ? {}
        : {
            templates: { dir: TEMPLATE_DIR, dataBytes: ATTACK_SPEC.dataBytes },
            hibernation: { dir: asleep, key: randomBytes(32), mostBytes: GIB, floorBytes: 0 },
          }),
    });
    beforeAll(async () => {
      this.driver = this.here.newDriver();
      this.other = await this.start(NEIGHBOUR_SPEC);
    });
    afterEach(() => this.expectHealth());
    afterAll(async () => {
      for (const { id } of await this.driver.list()) await this.driver.destroy(id);
      await this.driver.close();
      // Debian's gVisor has none.
      const proof = PROOFS[origin];
      if (process.env['TEST_OLDER_GVISOR'] === undefined && proof !== undefined)
        ok(
          this.here.logs.some((line) => line.includes(proof)),
          `none was attacked that came from ${origin}`,
        );
      rmSync(asleep, { recursive: true, force: true });
      deepStrictEqual(await this.here.leftovers(this.engineIds), []);
      this.here.remove();
    });
  }

  /** The sandbox to attack; a new one when the last attack was its end. */
  async attacked(): Promise<Sandbox> {
    if (this.inUse !== undefined && !this.attackedIsDead) return this.inUse;
    if (this.inUse !== undefined) await this.driver.destroy(this.inUse.id);
    this.attackedIsDead = false;
    const sandbox = await this.start(ATTACK_SPEC);
    this.inUse = sandbox;
    void sandbox.closed.then(() => {
      if (this.inUse === sandbox) this.attackedIsDead = true;
    });
    return sandbox;
  }

  neighbour(): Sandbox {
    if (this.other === undefined) throw new Error('the neighbour starts before the first test');
    return this.other;
  }

  async start(spec: SandboxSpec): Promise<Sandbox> {
    const sandbox = await this.driver.create(spec);
    this.engineIds.push(await this.here.engineId(sandbox.id));
    await sandbox.claim();
    if (this.origin !== 'sleep' || spec !== ATTACK_SPEC || process.env['TEST_OLDER_GVISOR'] !== undefined)
      return sandbox;
    await this.driver.hibernate(sandbox.id);
    const woken = await this.driver.attach(sandbox.id);
    this.engineIds.push(await this.here.engineId(woken.id));
    return woken;
  }

  /** The attacked sandbox is to be thrown away after this case. */
  spoil(): void {
    this.attackedIsDead = true;
  }

  async attack(code: string, options: Partial<ExecuteOptions> = {}): Promise<Told> {
    return run(await this.attacked(), code, options);
  }

  /** Runs code that ends with `answer(value)` and gives that value. */
  async ask<T>(code: string, options: Partial<ExecuteOptions> = {}): Promise<T> {
    return ask<T>(await this.attacked(), code, options);
  }

  /** The attacked sandbox works. */
  async expectAlive(): Promise<void> {
    strictEqual((await this.attack('40 + 2', { timeoutMs: 20_000 })).result, '42');
  }

  async expectHealth(): Promise<void> {
    const beganAt = performance.now();
    const told = await run(this.neighbour(), '1+1', { timeoutMs: 10_000 });
    const tookMs = performance.now() - beganAt;
    strictEqual(told.result, '2');
    ok(tookMs < NEIGHBOUR_PATIENCE_MS, `the neighbour needed ${Math.round(tookMs)} ms for 1+1`);
  }
}

/** Runs code that ends with `answer(value)` and gives that value. */
export async function ask<T>(
  sandbox: Sandbox,
  code: string,
  options: Partial<ExecuteOptions> = {},
): Promise<T> {
  const told = await run(sandbox, `${ANSWER}\n${code}`, options);
  const line = told.stdout.split('\n').find((text) => text.startsWith(MARK));
  if (line === undefined) throw new Error(`no answer: ${JSON.stringify(told.events).slice(0, 2_000)}`);
  return JSON.parse(line.slice(MARK.length)) as T;
}

const MARK = 'ANSWER ';
const ANSWER = `
import json, os, sys, time, errno, ctypes, socket, subprocess
def answer(value): print(${JSON.stringify(MARK)} + json.dumps(value), flush=True)
def outcome(call):
    """What became of a call: None if it worked, else the error's short name."""
    try: call()
    except OSError as error: return errno.errorcode.get(error.errno, str(error))
    except Exception as error: return type(error).__name__
libc = ctypes.CDLL(None, use_errno=True)
def system(name, *arguments):
    """A call of libc: None if it worked, else the error's short name."""
    ctypes.set_errno(0)
    return None if getattr(libc, name)(*arguments) >= 0 else errno.errorcode.get(ctypes.get_errno(), 'error')
`;
