/** The sandbox driver without Docker: for everything that is tested above the port. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  SandboxDriver,
  SandboxError,
  type DriverHealth,
  type Sandbox,
  type SandboxId,
  type SandboxInfo,
  type SandboxSpec,
} from '../../../orchestrator/src/sandboxes/sandbox.driver.js';
import { FakeMachine, FakeSandbox, type SandboxFaults } from './fake.sandbox.js';

/** Stands for the engine: what is here survives a driver, as containers survive the orchestrator. */
export class FakeEngine {
  readonly machines = new Map<SandboxId, FakeMachine>();

  /** Ends a sandbox from outside, like a crash. Its remains are listed as dead. */
  kill(id: SandboxId): void {
    this.machines.get(id)?.die();
  }
}

export interface FakeDriverOptions {
  readonly engine?: FakeEngine;
  readonly installationId?: string;
}

/** Set a knob, and it works once, on the next call that it names. */
export class FakeFaults implements SandboxFaults {
  nextCreate: Error | undefined;
  nextAttach: Error | undefined;
  nextDestroy: Error | undefined;
  /** Other than `busy`, it leaves the sandbox awake, and its handle spent. */
  nextHibernate: Error | undefined;
  nextPut: Error | undefined;
  nextGet: Error | undefined;
  nextClaim: Error | undefined;
  dieDuringExecute: boolean | undefined;
  /** So many executions find that their sandbox has ended, and nobody had noticed. */
  diesBeforeExecute = 0;
  /** Milliseconds that the next create takes. */
  delayNextCreate: number | undefined;
  /** Stay until changed. */
  problems: readonly string[] = [];
  memory: { usedBytes?: number; hostFreeBytes: number } = { hostFreeBytes: 16 * 1_073_741_824 };
}

/** Bytes that an idle fake sandbox is said to use. */
const IDLE_BYTES = 80_000_000;
const ASLEEP_BYTES = 2_000_000;

export class FakeSandboxDriver extends SandboxDriver {
  readonly engine: FakeEngine;
  readonly faults = new FakeFaults();
  /** Every spec that was asked for, in order; also of creates that failed. */
  readonly created: SandboxSpec[] = [];
  /** In order. */
  readonly slept: SandboxId[] = [];
  readonly woken: SandboxId[] = [];
  private readonly installationId: string;
  private readonly sandboxes = new Map<SandboxId, FakeSandbox>();

  constructor(options: FakeDriverOptions = {}) {
    super();
    this.engine = options.engine ?? new FakeEngine();
    this.installationId = options.installationId ?? 'fake';
  }

  override check(): Promise<DriverHealth> {
    const { problems } = this.faults;
    return Promise.resolve({
      ok: problems.length === 0,
      runtime: 'fake',
      isolation: 'gvisor',
      details: {},
      problems,
    });
  }

  override async create(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox> {
    this.created.push(spec);
    const { delayNextCreate, nextCreate } = this.faults;
    this.faults.delayNextCreate = this.faults.nextCreate = undefined;
    if (delayNextCreate !== undefined) await sleep(delayNextCreate, undefined, { signal }).catch(() => {});
    if (signal?.aborted) throw new SandboxError('start_failed', 'the start of the sandbox was given up');
    if (nextCreate !== undefined) throw nextCreate;
    const id = randomBytes(10).toString('hex') as SandboxId;
    const machine = new FakeMachine(id, spec, this.installationId);
    this.engine.machines.set(id, machine);
    return this.hold(machine);
  }

  override list(): Promise<readonly SandboxInfo[]> {
    const own = [...this.engine.machines.values()].filter(
      ({ installationId }) => installationId === this.installationId,
    );
    return Promise.resolve(
      own.map(({ id, alive, spec, createdAt, asleepSince }) => ({
        id,
        state: !alive ? 'dead' : asleepSince === undefined ? 'running' : 'asleep',
        memoryBytes: spec.memoryBytes,
        createdAt,
        labels: spec.labels ?? {},
        ...(asleepSince === undefined ? {} : { asleep: { since: asleepSince, bytes: ASLEEP_BYTES } }),
      })),
    );
  }

  override async attach(id: SandboxId): Promise<Sandbox> {
    this.throw('nextAttach');
    const known = this.sandboxes.get(id);
    if (known !== undefined) return known;
    const machine = this.own(id);
    if (machine?.alive !== true) throw new SandboxError('gone', 'the sandbox has ended');
    const hasSlept = machine.asleepSince !== undefined;
    machine.asleepSince = undefined;
    if (hasSlept) this.woken.push(id);
    else machine.interrupt();
    return Promise.resolve(this.hold(machine));
  }

  override isAsleep(id: SandboxId): Promise<boolean> {
    return Promise.resolve(this.own(id)?.asleepSince !== undefined);
  }

  override async hibernate(id: SandboxId): Promise<void> {
    const machine = this.own(id);
    const sandbox = this.sandboxes.get(id);
    if (machine?.alive !== true || sandbox === undefined)
      throw new SandboxError('gone', 'the sandbox has ended');
    if (machine.running > 0) throw new SandboxError('busy', 'an execution is running');
    this.throw('nextHibernate');
    machine.asleepSince = new Date();
    sandbox.detach();
    this.sandboxes.delete(id);
    this.slept.push(id);
    return Promise.resolve();
  }

  override giveUpAsleep(id: SandboxId): Promise<void> {
    if (this.own(id)?.asleepSince !== undefined) this.engine.machines.delete(id);
    return Promise.resolve();
  }

  override async destroy(id: SandboxId): Promise<void> {
    this.throw('nextDestroy');
    const machine = this.own(id);
    if (machine === undefined) return;
    machine.die();
    this.engine.machines.delete(id);
    this.sandboxes.delete(id);
    return Promise.resolve();
  }

  override memory(): Promise<{ readonly usedBytes: number; readonly hostFreeBytes: number }> {
    const alive = [...this.sandboxes.keys()].filter((id) => this.own(id)?.alive === true);
    return Promise.resolve({ usedBytes: alive.length * IDLE_BYTES, ...this.faults.memory });
  }

  override close(): Promise<void> {
    for (const sandbox of this.sandboxes.values()) sandbox.detach();
    this.sandboxes.clear();
    return Promise.resolve();
  }

  private own(id: SandboxId): FakeMachine | undefined {
    const machine = this.engine.machines.get(id);
    return machine?.installationId === this.installationId ? machine : undefined;
  }

  private hold(machine: FakeMachine): FakeSandbox {
    const sandbox = new FakeSandbox(machine, this.faults);
    this.sandboxes.set(machine.id, sandbox);
    return sandbox;
  }

  private throw(fault: 'nextAttach' | 'nextDestroy' | 'nextHibernate'): void {
    const error = this.faults[fault];
    this.faults[fault] = undefined;
    if (error !== undefined) throw error;
  }
}
