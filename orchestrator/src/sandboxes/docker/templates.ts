/**
 * The template: one sandbox that was started and warmed up, before any user's byte was near, and written down
 * as an image. Others are made from it in a fraction of the time. Where that does not work, or is not safe, they
 * start from nothing as ever, and one line in the log says why.
 */
import type { Sandbox, SandboxSpec } from '../sandbox.driver.js';
import { inability } from './clone-ability.js';
import { askClone, judgeClone, repeats } from './clone-test.js';
import type { DriverLogger } from './docker.driver.js';
import { isEngineAway } from './engine-errors.js';
import type { HostFacts } from './host-check.js';
import type { StoredTemplate, TemplateStore } from './template-store.js';

/** What sandboxes are made from. */
export interface Template extends StoredTemplate {
  /** Docker's id of the image of the file system that it belongs to, whatever its name says by now. */
  readonly imageId: string;
}

/** What the driver does for it. */
export interface TemplateHost {
  readonly store: TemplateStore;
  /** `/mnt/data` of sandboxes that are made from a template, in bytes. */
  readonly dataBytes: number;
  /** Between the memory promised and the host's limit, in bytes. */
  readonly headroomBytes: number;
  readonly logger: DriverLogger;
  key(host: HostFacts, spec: SandboxSpec): Promise<string>;
  /** Starts one, warms it up, writes it down and removes it; the image is handed to `take`. */
  writeDown(
    host: HostFacts,
    spec: SandboxSpec,
    take: (folder: string) => Promise<StoredTemplate>,
  ): Promise<StoredTemplate>;
  /** Rejects where it would start from nothing. */
  clone(host: HostFacts, spec: SandboxSpec, template: Template): Promise<Sandbox>;
  destroy(sandbox: Sandbox): Promise<void>;
}

const TEMPLATE_MEMORY = 1_073_741_824;
/** Another size than the template's. */
const OTHER_MEMORY = 536_870_912;
/** Milliseconds between two marks on the template that it is in use. */
const MARK_MS = 3_600_000;
/** Clones in a row that did not start, after which no more are tried. */
const MOST_FAILURES = 3;

export class Templates {
  private preparation: Promise<Template | undefined> | undefined;
  private key: string | undefined;
  private markedAt = Date.now();
  private failures = 0;
  private said: string | undefined;

  constructor(private readonly host: TemplateHost) {}

  /** In words, for the operator; undefined while clones are made, or before the first start. */
  get whyNot(): string | undefined {
    return this.said;
  }

  /**
   * What to make a sandbox of this spec from; undefined: from nothing. The first call makes and tests the
   * template, which takes some seconds, or tests the one that was kept. Never rejects.
   */
  async current(facts: HostFacts, spec: SandboxSpec): Promise<Template | undefined> {
    return spec.dataBytes === this.host.dataBytes ? this.prepared(facts) : undefined;
  }

  /** The same for any sandbox. */
  async prepared(facts: HostFacts): Promise<Template | undefined> {
    if (this.failures >= MOST_FAILURES) return undefined;
    this.preparation ??= this.prepare(facts);
    return this.preparation;
  }

  /** The template in use, if there is one by now; never makes one. */
  async known(): Promise<Template | undefined> {
    return this.preparation;
  }

  /** A clone has started. */
  worked(): void {
    this.failures = 0;
    if (this.key === undefined || Date.now() - this.markedAt < MARK_MS) return;
    this.markedAt = Date.now();
    // So that no server that shares the store takes it for unused.
    void this.host.store.find(this.key);
  }

  /** A clone has not started. */
  failed(error: unknown): void {
    this.failures += 1;
    if (this.failures === MOST_FAILURES) this.off(`the last ${MOST_FAILURES} did not start`, error);
  }

  private async prepare(facts: HostFacts): Promise<Template | undefined> {
    try {
      return await this.find(facts);
    } catch (error) {
      // An engine that is away says nothing about templates.
      if (isEngineAway(error)) this.preparation = undefined;
      else this.off(error instanceof Error ? error.message : String(error), error);
      return undefined;
    }
  }

  private async find(facts: HostFacts): Promise<Template | undefined> {
    const unable = inability(facts);
    if (unable !== undefined) {
      this.off(unable);
      return undefined;
    }
    const { store, logger, dataBytes } = this.host;
    const spec: SandboxSpec = { memoryBytes: TEMPLATE_MEMORY, dataBytes, maxFiles: 1_000 };
    const key = await this.host.key(facts, spec);
    this.key = key;
    const kept = await store.find(key);
    if (kept !== undefined) {
      const template = { ...kept, imageId: facts.imageId };
      const wrong = await this.test(facts, spec, template).catch(inWords);
      if (wrong === undefined) return template;
      logger.info(
        { reason: wrong },
        'the kept template of sandboxes does not serve any more; making another',
      );
      await store.drop(key);
    }
    const made = await this.host.writeDown(facts, spec, (image) => store.keep(key, image));
    const template = { ...made, imageId: facts.imageId };
    const wrong = await this.test(facts, spec, template);
    if (wrong !== undefined) {
      await store.drop(key);
      throw new Error(wrong);
    }
    await store.sweep();
    return template;
  }

  /** What is wrong with clones of it; rejects if they do not start. */
  private async test(facts: HostFacts, spec: SandboxSpec, template: Template): Promise<string | undefined> {
    const specs = [spec, { ...spec, memoryBytes: OTHER_MEMORY }];
    const outcomes = await Promise.allSettled(specs.map((each) => this.ask(facts, each, template)));
    const found = outcomes.map((outcome) => {
      if (outcome.status === 'rejected') throw outcome.reason;
      return outcome.value;
    });
    const wrong = found.flatMap((each, index) => {
      const limit = specs[index]!.memoryBytes + this.host.headroomBytes;
      return judgeClone(each, specs[index]!, limit) ?? [];
    });
    if (wrong.length > 0) return `a sandbox made from the template is no good: ${wrong[0]}`;
    return repeats(found) ? 'sandboxes made from the template have the same random numbers' : undefined;
  }

  private async ask(facts: HostFacts, spec: SandboxSpec, template: Template) {
    const sandbox = await this.host.clone(facts, spec, template);
    try {
      return await askClone(sandbox);
    } finally {
      await this.host.destroy(sandbox);
    }
  }

  private off(why: string, error?: unknown): void {
    this.said = why;
    const fields = error === undefined ? { reason: why } : { reason: why, err: error };
    this.host.logger.warn(
      fields,
      'sandboxes start from nothing, which takes seconds each: there are no clones',
    );
  }
}

function inWords(error: unknown): string {
  if (isEngineAway(error)) throw error;
  return error instanceof Error ? error.message : String(error);
}
