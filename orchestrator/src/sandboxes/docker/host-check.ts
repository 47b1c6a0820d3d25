/** Is this host able to run sandboxes, and are they really isolated? Sentences say what to do. */
import type { DriverHealth, SandboxSpec } from '../sandbox.driver.js';
import { SandboxError } from '../sandbox.driver.js';
import type { ChannelDir } from './channel-dir.js';
import { inability } from './clone-ability.js';
import type { ContainerSettings } from './container-config.js';
import type { DockerEngine, EngineFacts } from './docker-engine.js';
import { PROBE_SPEC, probeIsolation, type ProbeResult } from './isolation-probe.js';

export interface HostCheckParts {
  readonly engine: DockerEngine;
  readonly channels: ChannelDir;
  readonly runtime: string;
  readonly image: string;
  readonly allowInsecure: boolean;
  /** Settings of a throw-away container. */
  settings(spec: SandboxSpec, annotations: boolean): Omit<ContainerSettings, 'folders'>;
  /** The throw-away container of that name is gone again. */
  finished(name: string): void;
}

/** The first engine API whose HostConfig takes annotations. */
const ANNOTATIONS_API = [1, 43] as const;

export function takesAnnotations(apiVersion: string): boolean {
  const [major = 0, minor = 0] = apiVersion.split('.').map(Number);
  return major > ANNOTATIONS_API[0] || (major === ANNOTATIONS_API[0] && minor >= ANNOTATIONS_API[1]);
}

export function notIsolated(runtime: string): string {
  return (
    `The runtime "${runtime}" is not gVisor, so code would run on this host's own kernel. ` +
    'Set SANDBOX_RUNTIME to a gVisor runtime (scripts/engine up registers one).'
  );
}

const imageMissing = (image: string): string => `The sandbox image "${image}" is missing. Run: npm run setup`;

/** What starts of sandboxes go by. */
export interface HostFacts {
  readonly engine: EngineFacts;
  /** Docker's id of the sandbox image. */
  readonly imageId: string;
  /** The engine's API takes OCI annotations. */
  readonly annotations: boolean;
  readonly probe: ProbeResult;
}

export class HostCheck {
  private readonly parts: HostCheckParts;
  /** One probe per engine, runtime and image; a failed one is tried again. */
  private isolation: { readonly key: string; readonly result: Promise<HostFacts> } | undefined;

  constructor(parts: HostCheckParts) {
    this.parts = parts;
  }

  /** Never rejects. */
  async check(): Promise<DriverHealth> {
    const problems: string[] = [];
    const details: Record<string, string> = {};
    let probe: ProbeResult | undefined;
    try {
      probe = await this.examine(problems, details);
    } catch (error) {
      problems.push(this.sentence(error));
    }
    return {
      ok: problems.length === 0,
      runtime: this.parts.runtime,
      isolation: probe?.isolation ?? 'none',
      details,
      problems,
    };
  }

  /**
   * Called before each start. Rejects with `start_failed` on a runtime that does not isolate, or does
   * not limit the data, unless that was allowed. The probe runs once.
   */
  async requireIsolation(): Promise<HostFacts> {
    const facts = await (this.isolation?.result ?? this.firstProbe());
    const problems: string[] = [];
    if (!this.parts.allowInsecure) this.judge(facts.probe, problems);
    if (problems.length > 0) throw new SandboxError('start_failed', problems.join(' '));
    return facts;
  }

  private async examine(
    problems: string[],
    details: Record<string, string>,
  ): Promise<ProbeResult | undefined> {
    const { engine, runtime, image } = this.parts;
    const facts = await engine.facts();
    details.engine = `${facts.version} (API ${facts.apiVersion})`;
    details.runtime = runtime;
    details.image = image;
    if (!facts.runtimes.includes(runtime)) {
      problems.push(
        `The Docker engine has no runtime "${runtime}"; it knows ${facts.runtimes.join(', ')}. Run: scripts/engine up`,
      );
    }
    const imageId = await engine.imageId(image);
    if (imageId === undefined) problems.push(imageMissing(image));
    else details.imageId = imageId;
    if (problems.length > 0 || imageId === undefined) return undefined;
    const host = await this.probe(facts, imageId);
    const { probe } = host;
    const unable = inability(host);
    details.clones = unable === undefined ? 'possible' : `off: ${unable}`;
    details.kernel = probe.kernel;
    details.dataLimit = probe.dataLimited ? 'enforced' : 'not enforced';
    if (!this.parts.allowInsecure) this.judge(probe, problems);
    return probe;
  }

  private judge(probe: ProbeResult, problems: string[]): void {
    const { runtime } = this.parts;
    if (probe.isolation !== 'gvisor') problems.push(notIsolated(runtime));
    else if (!probe.dataLimited) {
      problems.push(
        `The runtime "${runtime}" does not enforce the size limit of /mnt/data, so code could fill this host's disk. ` +
          'Register our OCI runtime, sandbox/runtime/code-interpreter-runtime, with the engine (scripts/engine up does).',
      );
    }
  }

  private async firstProbe(): Promise<HostFacts> {
    const { engine, image } = this.parts;
    const [facts, imageId] = await Promise.all([engine.facts(), engine.imageId(image)]);
    if (imageId === undefined) throw new SandboxError('start_failed', imageMissing(image));
    return this.probe(facts, imageId);
  }

  private probe(facts: EngineFacts, imageId: string): Promise<HostFacts> {
    const key = `${facts.version} ${this.parts.runtime} ${imageId}`;
    if (this.isolation?.key === key) return this.isolation.result;
    const result = this.runProbe(facts, imageId);
    const entry = { key, result };
    this.isolation = entry;
    result.catch(() => {
      if (this.isolation === entry) this.isolation = undefined;
    });
    return result;
  }

  private async runProbe(facts: EngineFacts, imageId: string): Promise<HostFacts> {
    const annotations = takesAnnotations(facts.apiVersion);
    const { engine, channels } = this.parts;
    const settings = this.parts.settings(PROBE_SPEC, annotations);
    try {
      return { engine: facts, imageId, annotations, probe: await probeIsolation(engine, channels, settings) };
    } finally {
      this.parts.finished(settings.name);
    }
  }

  private sentence(error: unknown): string {
    const message = error instanceof Error ? error.message : String(error);
    const repair =
      error instanceof SandboxError && error.code === 'engine_unavailable' ? '. Run: scripts/engine up' : '';
    return `${message.charAt(0).toUpperCase()}${message.slice(1)}${repair}`;
  }
}
