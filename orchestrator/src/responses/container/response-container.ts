/**
 * The container of one response: which one it is, when it comes into being, and which files of it
 * this response touched. Made by the service before the run, used by the run.
 */
import { ApiError } from '../../common/api-error.js';
import type { ImportedFile } from '../../containers/execution.service.js';
import type { ContainerFileRow } from '../../containers/container-files.service.js';
import type { ContainerFilesService } from '../../containers/container-files.service.js';
import type { ContainerRow } from '../../containers/containers.service.js';
import { type ContainersService, expired } from '../../containers/containers.service.js';
import type { AutoContainer, CodeInterpreterTool } from '../tool.schema.js';

const AUTO_NAME = 'auto';

/** Milliseconds between two refreshes of the idle clock; the shortest lifetime is a minute. */
const KEEP_ALIVE_MS = 15_000;

/** Paths that the model is told of; it has to read them all. */
const MOST_NAMED = 10;

/** What `use` says of a container that nobody can use any more. */
const GONE: readonly string[] = ['container_expired', 'not_found'];

/** A file that may be cited. `path` is absolute below `/mnt/data`. */
export interface CitableFile {
  readonly id: string;
  readonly containerId: string;
  readonly path: string;
}

export interface ResponseContainerOptions {
  readonly projectId: string;
  readonly tool: CodeInterpreterTool;
  /** JSON path of the tool in the request. */
  readonly param: string;
  /** Container ids of earlier calls in the conversation, newest first. */
  readonly earlier: readonly string[];
  readonly idleMinutes: number;
}

export class ResponseContainer {
  private container: Promise<ContainerRow> | null = null;
  private isRunning = false;
  private heldId: string | null = null;
  private letGo: () => void = () => {};
  private putBack: readonly ContainerFileRow[] | null = null;
  /** Files this response made or changed, and figures it showed, by id; until they are cited. */
  private readonly touched = new Map<string, ContainerFileRow>();
  private loss: string | null = null;

  constructor(
    private readonly containers: ContainersService,
    private readonly files: ContainerFilesService,
    private readonly options: ResponseContainerOptions,
  ) {}

  /**
   * Called before anything is answered: an explicit container must be usable, files must exist, and
   * an automatic one must fit in the pool. Only then may the reply begin.
   */
  async prepare(): Promise<void> {
    const { tool, earlier } = this.options;
    const isNeeded =
      typeof tool.container === 'string' ||
      (tool.container.file_ids ?? []).length > 0 ||
      tool.container.session_key !== undefined ||
      earlier.length > 0;
    if (isNeeded) await this.row();
    else if (typeof tool.container !== 'string')
      await this.containers.checkRoom(this.options.projectId, tool.container.memory_limit ?? '1g');
  }

  /** Paths of the files of earlier turns, when their container is gone and this is another one; else null. */
  get replacedWith(): readonly string[] | null {
    return this.putBack?.map(({ path }) => path) ?? null;
  }

  /** The container; an automatic one is chosen or made on the first call. */
  async row(): Promise<ContainerRow> {
    this.container ??= this.resolve();
    return this.held(await this.container);
  }

  /**
   * The container for a call of the tool. An automatic one that expired or was deleted since the last call
   * is replaced by a new one with its files; {@link takeLoss} says so.
   */
  async usable(): Promise<ContainerRow> {
    if (!this.container) return this.row();
    const known = await this.container;
    const { tool, projectId } = this.options;
    try {
      return await this.containers.use(projectId, known.id);
    } catch (error) {
      const isGone = error instanceof ApiError && GONE.includes(error.code ?? '');
      if (!isGone || typeof tool.container === 'string') throw error;
      this.container = this.replace(known, tool.container);
      return this.held(await this.container);
    }
  }

  /**
   * Keeps the container from expiring, and from giving way to others, however long the model takes; until the
   * returned function is called.
   */
  keepAlive(): () => void {
    this.isRunning = true;
    void this.container?.then((row) => this.held(row)).catch(() => undefined);
    const touch = async (): Promise<void> => {
      const row = await this.container;
      if (row) await this.containers.use(this.options.projectId, row.id);
    };
    // Whether it can still be used is asked, and answered, at the next call.
    const timer = setInterval(() => void touch().catch(() => undefined), KEEP_ALIVE_MS).unref();
    return () => {
      clearInterval(timer);
      this.isRunning = false;
      this.letGo();
    };
  }

  /** Holds this container, and no other one, while the response runs. */
  private held(row: ContainerRow): ContainerRow {
    if (!this.isRunning || this.heldId === row.id) return row;
    this.letGo();
    this.heldId = row.id;
    this.letGo = this.containers.hold(row.id);
    return row;
  }

  /** A sentence for the model when the container was replaced since the last call; told once. */
  takeLoss(): string | null {
    const { loss } = this;
    this.loss = null;
    return loss;
  }

  /** Whether there is one already. */
  get exists(): boolean {
    return this.container !== null;
  }

  /** Remembers what an execution left behind. */
  note(files: readonly ImportedFile[], images: readonly ContainerFileRow[]): void {
    for (const image of images) this.touched.set(image.id, image);
    for (const { row, change } of files) {
      if (change === 'deleted') this.touched.delete(row.id);
      else this.touched.set(row.id, row);
    }
  }

  /** Called when a text cited them; until they change again that is enough. */
  noteCited(fileIds: readonly string[]): void {
    for (const id of fileIds) this.touched.delete(id);
  }

  /** Made or changed by this response, figures included, in order of appearance, and not cited yet. */
  touchedFiles(): CitableFile[] {
    return [...this.touched.values()].map(toCitable);
  }

  /** Everything in the container that a text may link. */
  async linkableFiles(): Promise<CitableFile[]> {
    if (!this.container) return [];
    return (await this.files.all(await this.container)).map(toCitable);
  }

  /** Puts content of the request's input into the container; returns its path there. */
  async addFile(fileId: string, param: string): Promise<string> {
    return (await this.files.addFile(await this.row(), fileId, param)).path;
  }

  /** `again`: content of an earlier turn, which is there unless the container is another one. */
  async addContent(
    content: { filename: string; sha256: string; bytes: number },
    again: boolean,
  ): Promise<string> {
    return (await this.files.addInput(await this.row(), content, again)).path;
  }

  private async resolve(): Promise<ContainerRow> {
    const { tool, projectId, param } = this.options;
    if (typeof tool.container === 'string') return this.explicit(tool.container);
    const known = await this.reusable(tool.container);
    const row = known ?? (await this.create(tool.container));
    if (known) {
      for (const fileId of tool.container.file_ids ?? [])
        await this.files.addFile(known, fileId, `${param}.container.file_ids`);
    }
    return known ? this.containers.use(projectId, row.id) : row;
  }

  private async explicit(id: string): Promise<ContainerRow> {
    try {
      return await this.containers.use(this.options.projectId, id);
    } catch (error) {
      if (error instanceof ApiError && error.code === 'container_expired')
        throw expired(400, `${this.options.param}.container`);
      throw error;
    }
  }

  /** Another container in the place of one that cannot be used any more. */
  private async replace(gone: ContainerRow, auto: AutoContainer): Promise<ContainerRow> {
    const known = await this.containers.lookUp(this.options.projectId, gone.id);
    const row = await this.make(auto, known ? [] : (auto.file_ids ?? []));
    const { copies, left } = known ? await this.files.inherit(known, row) : { copies: [], left: [] };
    const byPath = new Map(copies.map((file) => [file.path, file]));
    for (const [id, { path }] of [...this.touched]) {
      this.touched.delete(id);
      const file = byPath.get(path);
      if (file) this.touched.set(file.id, file);
    }
    const loss = known
      ? '[The container had expired and was replaced by a new one: variables and imports are lost, files in /mnt/data are kept.]'
      : '[The container was deleted and replaced by a new one: variables, imports and files are lost.]';
    this.loss = `${loss}${missing(left)}`;
    return row;
  }

  private make(auto: AutoContainer, fileIds: readonly string[]): Promise<ContainerRow> {
    return this.containers.create(this.options.projectId, {
      name: AUTO_NAME,
      memoryLimit: auto.memory_limit ?? '1g',
      idleMinutes: this.options.idleMinutes,
      fileIds,
      fileIdsParam: `${this.options.param}.container.file_ids`,
      sessionKey: auto.session_key,
      auto: true,
    });
  }

  private async create(auto: AutoContainer): Promise<ContainerRow> {
    const row = await this.make(auto, auto.file_ids ?? []);
    for (const fileId of auto.session_key === undefined ? [] : (auto.file_ids ?? []))
      await this.files.addFile(row, fileId);
    if (auto.session_key === undefined) await this.takeOver(row);
    return row;
  }

  /** The newest container of the conversation cannot be used any more: its files go into this one. */
  private async takeOver(row: ContainerRow): Promise<void> {
    for (const id of this.options.earlier) {
      const gone = await this.containers.lookUp(this.options.projectId, id);
      if (!gone) continue;
      const { copies, left } = await this.files.inherit(gone, row);
      this.putBack = copies;
      if (left.length > 0) this.loss = missing(left).trim();
      return;
    }
  }

  /** A container of the conversation that still runs and fits (docs/contract/code-interpreter.md). */
  private async reusable(auto: AutoContainer): Promise<ContainerRow | null> {
    if (auto.session_key !== undefined) return null;
    for (const id of this.options.earlier) {
      const row = await this.containers.findUsable(this.options.projectId, id);
      if (row && (auto.memory_limit === undefined || auto.memory_limit === row.memoryLimit)) return row;
    }
    return null;
  }
}

/** For the model: files that it may look for. Empty when there are none. */
function missing(paths: readonly string[]): string {
  if (paths.length === 0) return '';
  const named = paths.slice(0, MOST_NAMED).join(', ');
  const more = paths.length > MOST_NAMED ? ` and ${paths.length - MOST_NAMED} more` : '';
  return ` [The storage quota of this project has no room for these files of the earlier container, and they are missing: ${named}${more}.]`;
}

const toCitable = (row: ContainerFileRow): CitableFile => ({
  id: row.id,
  containerId: row.containerId,
  path: row.path,
});
