import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { MIN_IDLE_MS } from '../sandboxes/memory-admission.js';
import { SandboxDriver, type SandboxId } from '../sandboxes/sandbox.driver.js';
import { SandboxPool } from '../sandboxes/sandbox.pool.js';
import type { ContainerRow } from './container.repository.js';
import { SandboxBindings } from './sandbox-bindings.js';

/** Milliseconds between two looks. */
const LOOK_MS = 2_000;
/** Most of what falls asleep is waiting for the engine. */
const AT_ONCE = 2;
/** Times in a row before the disk is looked at. */
const MOST_ROUNDS = 10;

export interface SandboxState {
  readonly state: 'none' | 'awake' | 'asleep';
  /** Why it was not put to sleep when nobody used it. */
  readonly staysAwake: string | null;
}

/**
 * Puts sandboxes to sleep that nobody has used for a while, a few at a time and only while none is being started,
 * and keeps what they take on disk within its budget. When memory becomes scarce, a short while is enough and starts
 * are no reason to wait: they would have to wait for that memory.
 */
@Injectable()
export class HibernationService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(HibernationService.name);
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> | undefined;
  private isOver = false;
  /** `sleeps` of the bindings when the budget was last looked at; the first look is at what is there. */
  private counted = -1;

  constructor(
    private readonly bindings: SandboxBindings,
    private readonly pool: SandboxPool,
    private readonly driver: SandboxDriver,
    @Inject(ENV) private readonly env: Env,
  ) {}

  onApplicationBootstrap(): void {
    if (this.env.HIBERNATE_AFTER_SECONDS === 0) return;
    this.timer = setInterval(() => {
      this.looking ??= this.look().finally(() => (this.looking = undefined));
    }, LOOK_MS).unref();
  }

  async onModuleDestroy(): Promise<void> {
    this.isOver = true;
    clearInterval(this.timer);
    await this.looking;
  }

  /** Of a container's sandbox, for the operator. */
  async stateOf(row: Pick<ContainerRow, 'id' | 'sandboxId'>): Promise<SandboxState> {
    if (row.sandboxId === null) return { state: 'none', staysAwake: null };
    if (await this.driver.isAsleep(row.sandboxId as SandboxId)) return { state: 'asleep', staysAwake: null };
    return { state: 'awake', staysAwake: this.bindings.whyAwake(row.id) };
  }

  /** Never rejects. */
  private async look(): Promise<void> {
    try {
      for (let round = 0; round < MOST_ROUNDS; round += 1) if (!(await this.sleepSome())) break;
      // Some fall asleep because their memory is needed.
      const { sleeps } = this.bindings;
      if (sleeps !== this.counted) await this.keepBudget();
      this.counted = sleeps;
    } catch (error) {
      this.logger.warn({ err: error }, 'idle sandboxes could not be put to sleep');
    }
  }

  /** False when there is nothing more to do. */
  private async sleepSome(): Promise<boolean> {
    const isScarce = await this.pool.isMemoryScarce();
    if (this.isOver || (this.pool.isStarting && !isScarce)) return false;
    const afterMs = this.env.HIBERNATE_AFTER_SECONDS * 1_000;
    const idleMs = isScarce ? Math.min(afterMs, MIN_IDLE_MS) : afterMs;
    const slept = await Promise.all(Array.from({ length: AT_ONCE }, () => this.bindings.sleepIdlest(idleMs)));
    return slept.includes(true);
  }

  /** Those that were used longest ago go first; their containers find their files, and lost variables. */
  private async keepBudget(): Promise<void> {
    const asleep = (await this.driver.list()).flatMap(({ id, asleep: state }) =>
      state === undefined ? [] : { id, ...state },
    );
    let bytes = asleep.reduce((sum, each) => sum + each.bytes, 0);
    for (const each of asleep.toSorted((a, b) => a.since.getTime() - b.since.getTime())) {
      if (bytes <= this.env.HIBERNATE_DISK_BYTES) return;
      this.logger.warn(
        { sandboxId: each.id, bytes: each.bytes },
        'a sleeping sandbox is given up: the disk budget is full',
      );
      await this.driver.giveUpAsleep(each.id);
      bytes -= each.bytes;
    }
  }
}
