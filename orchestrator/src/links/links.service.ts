import { Injectable } from '@nestjs/common';
import { ApiError } from '../common/api-error.js';
import { newId } from '../common/ids.js';
import { type Page, type PageQuery, toPage } from '../common/pagination.js';
import { addSeconds } from '../common/time.js';
import { DatabaseClock } from '../database/clock.js';
import { FilesService, type StoredFile } from '../files/files.service.js';
import { noteSubject } from '../idempotency/subjects.js';
import { addressOf, hashToken, newToken } from './link-address.js';
import { presentLink } from './link.presenter.js';
import { LinkRepository, type LinkTarget } from './link.repository.js';
import {
  type CreateLinkRequest,
  DEFAULT_LIFETIME_SECONDS,
  type DeletedLink,
  type LinkObject,
} from './link.schema.js';

/** Links of one file that work at the same time. */
const MAX_LIVE_LINKS = 1_000;
/** Everything else is not an id and never reaches the database. */
const ID = /^link_[a-z0-9]{1,64}$/;

/** Why an address opens nothing. */
export type DeadLink = 'unknown' | 'expired';

export interface OpenLink {
  readonly link: LinkTarget;
  readonly file: StoredFile;
}

const noLink = (id: string): ApiError =>
  new ApiError('not_found', `No such link: ${id.slice(0, 64)}`, { param: 'link_id' });

/** Signed links: addresses that open a file of a project without a key, until they expire or are revoked. */
@Injectable()
export class LinksService {
  constructor(
    private readonly links: LinkRepository,
    private readonly files: FilesService,
    private readonly clock: DatabaseClock,
  ) {}

  /** `base` is where the caller reaches this server. Throws 404 for files the project does not have, 403 where links are off. */
  async create(
    projectId: string,
    fileId: string,
    request: CreateLinkRequest,
    base: string,
  ): Promise<LinkObject> {
    const file = await this.files.get(projectId, fileId, 'file_id');
    if (!(await this.links.isAllowed(projectId))) {
      throw new ApiError(
        'links_disabled',
        'Links are switched off for this project. The operator of the server can switch them on.',
      );
    }
    const createdAt = this.clock.now();
    if ((await this.links.countLive(projectId, file.id, createdAt)) >= MAX_LIVE_LINKS) {
      throw new ApiError(
        'link_limit_reached',
        `This file has ${MAX_LIVE_LINKS} links already. Revoke some, or let them expire sooner.`,
        { param: 'file_id' },
      );
    }
    const token = newToken();
    const id = newId.fileLink();
    await noteSubject(id);
    const row = await this.links.insert({
      id,
      projectId,
      fileId: file.id,
      tokenHash: hashToken(token)!,
      createdAt,
      expiresAt: addSeconds(createdAt, request.expires_after?.seconds ?? DEFAULT_LIFETIME_SECONDS),
    });
    return presentLink(row, file.filename, addressOf(base, token, file.filename));
  }

  /** Those that work, without their addresses. */
  async list(
    projectId: string,
    fileId: string,
    { after, limit, order }: PageQuery,
  ): Promise<Page<LinkObject>> {
    const file = await this.files.get(projectId, fileId, 'file_id');
    const rows = await this.links.list({
      projectId,
      fileId: file.id,
      afterSeq: after === undefined ? undefined : await this.cursor(projectId, file.id, after),
      order,
      take: limit + 1,
      now: this.clock.now(),
    });
    return toPage(rows, limit, (row) => presentLink(row, file.filename));
  }

  /** Its address opens nothing from now on. Works for links whose file is gone as well. */
  async revoke(projectId: string, fileId: string, id: string): Promise<DeletedLink> {
    if (!ID.test(id) || !(await this.links.remove(projectId, fileId, id))) throw noLink(id);
    return { id, object: 'file.link', deleted: true };
  }

  /** What the address with this token opens. Called without a key. */
  async open(token: string): Promise<OpenLink | DeadLink> {
    const hash = hashToken(token);
    const link = hash === null ? null : await this.links.find(hash);
    if (link === null) return 'unknown';
    if (link.isExpired) return 'expired';
    const file = await this.fileOf(link);
    return file === null ? 'unknown' : { link, file };
  }

  /** Called before the first byte goes out; false when the link was revoked meanwhile. */
  count(link: LinkTarget): Promise<boolean> {
    return this.links.count(link.id);
  }

  /** Deletes at most `take` that expired before `before`; returns how many. Called by retention. */
  forgetExpired(before: Date, take: number): Promise<number> {
    return this.links.removeExpired(before, take);
  }

  private async fileOf({ projectId, fileId }: LinkTarget): Promise<StoredFile | null> {
    try {
      return await this.files.get(projectId, fileId);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null;
      throw error;
    }
  }

  private async cursor(projectId: string, fileId: string, after: string): Promise<bigint> {
    const seq = ID.test(after) ? await this.links.seqOf(projectId, fileId, after) : null;
    if (seq === null) throw noLink(after);
    return seq;
  }
}
