/** One run of a program of the fake language on a fake kernel. */
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  ExecuteOptions,
  ExecutionEvent,
  ExecutionStatus,
} from '../../../orchestrator/src/sandboxes/sandbox.driver.js';
import { SandboxError } from '../../../orchestrator/src/sandboxes/sandbox.driver.js';
import type { FakeFiles } from './fake-files.js';
import { parseProgram, type Statement } from './fake-program.js';

/** The smallest valid PNG: one pixel. */
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
);
const GRACE_MS = 30;
const PEAK_MEMORY_BYTES = 50_000_000;

export interface FakeWorld {
  readonly files: FakeFiles;
  readonly variables: Map<string, string>;
  readonly emit: (event: ExecutionEvent) => void;
  /** Aborted by the reader, by a restart, or by the caller's signal. */
  readonly stop: AbortSignal;
  /** Aborted when the sandbox dies. */
  readonly death: AbortSignal;
  readonly die: (error?: SandboxError) => void;
}

/** Thrown inside to end the program early. */
class Ended extends Error {
  constructor(
    readonly status: ExecutionStatus,
    readonly stateLost = false,
  ) {
    super(status);
  }
}

class Raised extends Error {
  constructor(
    readonly kind: string,
    message: string,
  ) {
    super(message);
  }
}

export class FakeExecution {
  private readonly world: FakeWorld;
  private readonly options: ExecuteOptions;
  private readonly deadline: AbortSignal;
  private outputLeft: number;
  private imagesLeft: number;
  private said = new Set<string>();
  private inputs: Readonly<Record<string, unknown>> = {};
  private given: Buffer | undefined;

  constructor(world: FakeWorld, options: ExecuteOptions) {
    this.world = world;
    this.options = options;
    this.deadline = AbortSignal.timeout(options.timeoutMs);
    this.outputLeft = options.maxOutputBytes;
    this.imagesLeft = options.maxImages;
  }

  /** Emits everything including `finished`; throws `gone` when the sandbox dies. */
  async run(code: string): Promise<void> {
    const { files, variables, emit } = this.world;
    const before = files.snapshot();
    const beganAt = performance.now();
    let status: ExecutionStatus = 'completed';
    let stateLost = false;
    try {
      this.takeInputs();
      await this.program(code);
      this.giveBack();
    } catch (error) {
      if (error instanceof Ended) ({ status, stateLost } = error);
      else if (error instanceof Raised) this.raise(error.kind, error.message);
      else throw error;
    }
    if (stateLost) variables.clear();
    const durationMs = Math.round(performance.now() - beganAt);
    const changes = files.changesSince(before);
    const finished = { status, stateLost, durationMs, files: changes, filesTruncated: false };
    emit({ type: 'finished', ...finished, peakMemoryBytes: PEAK_MEMORY_BYTES });
  }

  private async program(code: string): Promise<void> {
    const statements = parseProgram(code);
    if ('badLine' in statements) throw new Raised('SyntaxError', `invalid syntax: ${statements.badLine}`);
    for (const statement of statements) {
      await this.step(statement);
      this.checkEnds();
    }
  }

  private takeInputs(): void {
    const text = this.options.values?.inputs;
    if (text === undefined) return;
    const inputs: unknown = JSON.parse(text.toString());
    if (typeof inputs !== 'object' || inputs === null || Array.isArray(inputs))
      throw new Raised('BadInput', 'inputs is not a JSON object');
    this.inputs = inputs as Record<string, unknown>;
  }

  private printInput(name: string): void {
    if (!(name in this.inputs)) throw new Raised('NameError', `name '${name}' is not defined`);
    // With a blank behind each comma, as Python writes it.
    const lines = JSON.stringify(this.inputs[name], null, 1);
    const inside = lines.replaceAll(/([[{])\n\s*|\n\s*([\]}])/g, '$1$2');
    this.output('stdout', `${inside.replaceAll(/\n\s*/g, ' ')}\n`);
  }

  private giveBack(): void {
    const { values } = this.options;
    if (this.given === undefined || (values?.returns !== 'automatic' && values?.returns !== 'result')) return;
    if (this.given.length <= values.maxValueBytes)
      this.world.emit({ type: 'value', from: 'result', json: this.given });
    else this.notice('value_dropped', 'The value was not returned. It is too long.');
  }

  private async step(statement: Statement): Promise<void> {
    const { files, variables, emit } = this.world;
    switch (statement.verb) {
      case 'print':
        return this.output('stdout', `${statement.text}\n`);
      case 'stderr':
        return this.output('stderr', `${statement.text}\n`);
      case 'flood':
        return this.output('stdout', 'x'.repeat(statement.amount));
      case 'result':
      case 'display':
        return emit({ type: statement.verb, text: statement.text });
      case 'image':
        return this.image();
      case 'set':
        return void variables.set(statement.name, statement.value);
      case 'get': {
        const value = variables.get(statement.name);
        if (value === undefined) throw new Raised('NameError', `name '${statement.name}' is not defined`);
        return this.output('stdout', `${value}\n`);
      }
      case 'input':
        return this.printInput(statement.name);
      case 'give':
        this.given = Buffer.from(statement.json);
        return undefined;
      case 'write':
        return this.write(statement.path, Buffer.from(statement.text));
      case 'forge':
        return files.forge(statement.path, Buffer.from(statement.text));
      case 'fill':
        return this.write(statement.path, Buffer.alloc(statement.bytes));
      case 'delete':
        return files.remove(statement.path);
      case 'raise':
        throw new Raised(statement.name, statement.message);
      case 'sleep':
        return await this.sleep(statement.amount);
      case 'stubborn':
        return await this.ignoreInterrupts(statement.amount);
      case 'deaf':
        await sleep(statement.amount, undefined, { signal: this.world.death }).catch(() => undefined);
        return this.checkDeath();
      case 'oom':
        this.notice('out_of_memory', 'Python was killed: it needed more memory than the container has.');
        throw new Ended('out_of_memory', true);
      case 'die':
        this.notice('kernel_died', 'Python died. Variables are lost.');
        throw new Ended('kernel_died', true);
      case 'end':
        return this.world.die();
      case 'burst':
        return this.world.die(new SandboxError('gone', 'it needed too much', { outOfMemory: true }));
    }
  }

  private write(path: string, content: Buffer): void {
    try {
      this.world.files.write(path, content);
    } catch (error) {
      if (error instanceof SandboxError) throw new Raised('OSError', error.message);
      throw error;
    }
  }

  private async sleep(milliseconds: number): Promise<void> {
    const { stop, death } = this.world;
    await sleep(milliseconds, undefined, { signal: AbortSignal.any([stop, death, this.deadline]) }).catch(
      () => undefined,
    );
  }

  /** Until somebody wants it to end, and then for the grace period. */
  private async ignoreInterrupts(milliseconds: number): Promise<void> {
    const { stop, death } = this.world;
    await this.sleep(milliseconds);
    if (!stop.aborted && !this.deadline.aborted) return;
    await sleep(GRACE_MS, undefined, { signal: death }).catch(() => undefined);
    this.checkDeath();
    this.notice('state_lost', 'Python did not stop and was restarted. Variables are lost.');
    throw new Ended(stop.aborted ? 'interrupted' : 'timed_out', true);
  }

  private checkEnds(): void {
    this.checkDeath();
    const stopped = this.world.stop.aborted;
    if (!stopped && !this.deadline.aborted) return;
    if (!stopped) this.notice('timeout', `The time limit of ${this.options.timeoutMs} ms is over.`);
    this.raise('KeyboardInterrupt', '');
    throw new Ended(stopped ? 'interrupted' : 'timed_out');
  }

  private checkDeath(): void {
    const { aborted, reason } = this.world.death;
    if (!aborted) return;
    throw reason instanceof SandboxError ? reason : new SandboxError('gone', 'the sandbox has ended');
  }

  private output(type: 'stdout' | 'stderr', text: string): void {
    const kept = text.slice(0, this.outputLeft);
    this.outputLeft -= kept.length;
    if (kept !== '') this.world.emit({ type, text: kept });
    if (kept.length < text.length) this.notice('output_truncated', 'Output was cut.');
  }

  private image(): void {
    if (this.imagesLeft <= 0 || PNG.length > this.options.maxImageBytes) {
      this.notice('images_dropped', 'Further images were dropped.');
      return;
    }
    this.imagesLeft -= 1;
    this.world.emit({ type: 'image', mimeType: 'image/png', data: PNG });
  }

  private notice(code: string, message: string): void {
    if (this.said.has(code)) return;
    this.said.add(code);
    this.world.emit({ type: 'notice', code, message });
  }

  private raise(name: string, value: string): void {
    this.world.emit({
      type: 'error',
      name,
      value,
      traceback: `Traceback (most recent call last)\n${name}: ${value}`,
    });
  }
}
