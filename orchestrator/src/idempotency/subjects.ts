/**
 * What a request makes, known by its id before it is there: should the server end in between, a repeat of the
 * request shows it instead of making another one.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { Injectable } from '@nestjs/common';
import { ApiError } from '../common/api-error.js';

/** What ids of things that requests make begin with. */
export type SubjectPrefix = 'cntr_' | 'cfile_' | 'exec_' | 'conv_' | 'file-' | 'resp_' | 'upload_' | 'part_';

export interface SubjectQuery {
  readonly projectId: string;
  readonly id: string;
  /** Of the route, such as `container_id`. */
  readonly params: Readonly<Record<string, string>>;
}

/** Shows it as its own GET does; 404 when it is not there. */
export type ShowSubject = (query: SubjectQuery) => Promise<object>;

const noting = new AsyncLocalStorage<(id: string) => Promise<void>>();

/** Called by services just before they write the first row of something that a request asked for. */
export const noteSubject = async (id: string): Promise<void> => noting.getStore()?.(id);

/** `work`, whose calls of {@link noteSubject} with such an id call `note`; what else is made by the way is no subject. */
export function withSubject<T>(
  prefix: SubjectPrefix | null,
  note: (id: string) => Promise<void>,
  work: () => Promise<T>,
): Promise<T> {
  const matching = async (id: string): Promise<void> => {
    if (prefix !== null && id.startsWith(prefix)) await note(id);
  };
  return noting.run(matching, work);
}

@Injectable()
export class Subjects {
  private readonly shows = new Map<SubjectPrefix, ShowSubject>();

  /** Called once by each room for the prefix of its ids. */
  set(prefix: SubjectPrefix, show: ShowSubject): void {
    this.shows.set(prefix, show);
  }

  /** Null when it is not there, or nobody can show it. */
  async show(query: SubjectQuery): Promise<object | null> {
    const show = [...this.shows].find(([prefix]) => query.id.startsWith(prefix))?.[1];
    try {
      return (await show?.(query)) ?? null;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null;
      throw error;
    }
  }
}
