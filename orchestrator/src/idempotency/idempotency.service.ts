/**
 * Lets a request that came with an `Idempotency-Key` be done once: its row is claimed before the handler runs,
 * leased while it runs, and holds the reply for a day. What ended with an error is forgotten, since nothing was
 * made; what a server left behind unfinished is shown, or done by the next one who asks.
 */
import { createHash, randomUUID } from 'node:crypto';
import { Injectable, Logger } from '@nestjs/common';
import { ApiError } from '../common/api-error.js';
import { LeaseKeeper, renewalMs } from '../common/lease-keeper.js';
import {
  type Finished,
  IdempotencyRepository,
  type IdempotencyRow,
  LEASE_SECONDS,
} from './idempotency.repository.js';
import { type SubjectPrefix, Subjects, withSubject } from './subjects.js';

/** A request with a key, as far as it matters here. */
export interface KeyedRequest {
  readonly projectId: string;
  readonly key: string;
  /** Method and path. */
  readonly route: string;
  readonly path: string;
  readonly params: Readonly<Record<string, string>>;
  readonly streams: boolean;
  readonly isBackground: boolean;
  /** Of the id of what it makes; null when that has none. */
  readonly makes: SubjectPrefix | null;
  /** Of query and body; reads the body, if it was not read yet. */
  readonly fingerprint: () => Promise<string>;
  /** The same without reading: null while the body is not read. */
  readonly fingerprintSoFar: () => string | null;
}

/** What the first request was answered. */
export interface Repeated {
  readonly status: number;
  /** JSON. */
  readonly text: string;
}

/** What a handler did, as it is remembered. `forget`: as if it had not been asked. */
export type Done = Omit<Finished, 'fingerprint' | 'subject'> & {
  readonly forget: boolean;
  readonly id?: string;
};

const inUse = (subject: string | null): ApiError =>
  new ApiError(
    'idempotency_key_in_use',
    `An earlier request with this Idempotency-Key is still running${subject === null ? '' : ` and makes ${subject}`}. Please repeat it in a moment.`,
    { status: 409, headers: { 'retry-after': '1', 'x-should-retry': 'true' } },
  );

const reused = (): ApiError =>
  new ApiError(
    'idempotency_key_reused',
    'This Idempotency-Key was used for another request. Send a key of its own with each request, and the same one only to repeat it unchanged.',
    { param: 'Idempotency-Key' },
  );

const notKept = (message: string): ApiError =>
  new ApiError('idempotency_reply_not_kept', message, { headers: { 'x-should-retry': 'false' } });

@Injectable()
export class IdempotencyService {
  private readonly logger = new Logger(IdempotencyService.name);
  private readonly leases = new LeaseKeeper<string>({
    everyMs: renewalMs(LEASE_SECONDS),
    renew: (owners) => this.rows.renew(owners),
    logger: this.logger,
    what: 'the lease of a request with a key',
  });

  constructor(
    private readonly rows: IdempotencyRepository,
    private readonly subjects: Subjects,
  ) {}

  /** Runs `work` unless it was done before. Rejects with what `work` rejects with, and when it cannot be repeated. */
  async once<T>(
    request: KeyedRequest,
    work: () => Promise<T>,
    summary: (value: T) => Done,
  ): Promise<{ readonly value: T } | { readonly repeated: Repeated }> {
    const { projectId } = request;
    const id = createHash('sha256')
      .update(JSON.stringify([projectId, request.route, request.key]))
      .digest('hex');
    const owner = randomUUID();
    const fingerprint = request.fingerprintSoFar();
    if (!(await this.rows.claim({ id, projectId, fingerprint, owner }))) {
      const repeated = await this.repeat(id, owner, request);
      if (repeated) return { repeated };
    }
    return { value: await this.run({ id, owner }, request, work, summary) };
  }

  /** Rows made before `before`. */
  forgetOld(before: Date, take: number): Promise<number> {
    return this.rows.removeOld(before, take);
  }

  private async run<T>(
    { id, owner }: { id: string; owner: string },
    request: KeyedRequest,
    work: () => Promise<T>,
    summary: (value: T) => Done,
  ): Promise<T> {
    const leave = this.leases.keep(id, owner, () => undefined);
    let subject: string | null = null;
    const note = (made: string) => {
      subject = made;
      return this.rows.note(id, owner, made);
    };
    try {
      const value = await withSubject(request.makes, note, work);
      const { forget, id: made, ...done } = summary(value);
      const fingerprint = request.fingerprintSoFar();
      await this.write(id, () =>
        forget
          ? this.rows.forget(id, owner)
          : this.rows.finish(id, owner, { ...done, fingerprint, subject: subject ?? made ?? null }),
      );
      return value;
    } catch (error) {
      await this.write(id, () => this.rows.forget(id, owner));
      throw error;
    } finally {
      leave();
    }
  }

  /** What was done is done: its caller is told, also when that cannot be remembered. */
  private async write(id: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.logger.warn({ err: error, key: id }, 'the end of a request with a key could not be written');
    }
  }

  /** The first request's answer; null when there is none and this one is to be done. */
  private async repeat(id: string, owner: string, request: KeyedRequest): Promise<Repeated | null> {
    const row = await this.rows.find(id);
    // It failed and was forgotten just now.
    if (!row) throw inUse(null);
    if (row.running && !(request.streams && row.subject !== null)) {
      const soFar = request.fingerprintSoFar();
      if (soFar !== null && row.fingerprint !== null && soFar !== row.fingerprint) throw reused();
      throw inUse(row.subject);
    }
    if (row.fingerprint !== null && (await request.fingerprint()) !== row.fingerprint) throw reused();
    if (row.outcome !== null || row.running) return this.answer(row, request);
    const shown = await this.show(row, request);
    if (shown) {
      // Whoever is answered has sent its body, and the connection goes on.
      await request.fingerprint();
      return shown;
    }
    if (await this.rows.takeOver(id, row.owner, owner, request.fingerprintSoFar())) return null;
    throw inUse(null);
  }

  private async answer(row: IdempotencyRow, request: KeyedRequest): Promise<Repeated> {
    if (row.reply !== null && row.status !== null) return { status: row.status, text: row.reply };
    if (row.outcome !== 'too_large') throw notKept(streamedBefore(row.subject, request));
    const shown = await this.show(row, request);
    if (shown) return shown;
    throw notKept('This request was done before. Its reply was too large to be kept.');
  }

  private async show({ subject }: IdempotencyRow, request: KeyedRequest): Promise<Repeated | null> {
    if (subject === null) return null;
    const { projectId, params } = request;
    const shown = await this.subjects.show({ projectId, id: subject, params });
    return shown && { status: 200, text: JSON.stringify(shown) };
  }
}

function streamedBefore(subject: string | null, { path, isBackground }: KeyedRequest): string {
  const done =
    'An earlier request with this Idempotency-Key was answered by a stream, which is not sent twice.';
  if (subject === null) return done;
  const resume = isBackground
    ? `GET ${path}/${subject}?stream=true&starting_after=N goes on after the event N; `
    : '';
  return `${done} It made ${subject}: ${resume}GET ${path}/${subject} shows it.`;
}
