import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Inject, Injectable } from '@nestjs/common';
import { ApiError } from '../common/api-error.js';
import { environmentFileSchema, type EnvironmentObject } from './environment.schema.js';

/** Injection token of the path of the listing. */
export const ENVIRONMENT_FILE = Symbol('ENVIRONMENT_FILE');

/** The listing lies beside the image's sources; seen from here the same in `src` and in `dist`. */
export const DEFAULT_ENVIRONMENT_FILE = resolve(import.meta.dirname, '../../../sandbox/environment.json');

/** What Python code finds in a container. Read once: a new image comes with a new server. */
@Injectable()
export class EnvironmentService {
  private known: Promise<EnvironmentObject> | undefined;

  constructor(@Inject(ENVIRONMENT_FILE) private readonly path: string) {}

  /** Rejects with 404 while there is no listing; looks again at the next call. */
  async get(): Promise<EnvironmentObject> {
    this.known ??= this.load();
    try {
      return await this.known;
    } catch (error) {
      this.known = undefined;
      throw error;
    }
  }

  private async load(): Promise<EnvironmentObject> {
    let text: string;
    try {
      text = await readFile(this.path, 'utf8');
    } catch (error) {
      throw new ApiError(
        'not_found',
        'The list of Python packages is not part of this installation. Ask its operator to build the sandbox image.',
        { cause: error },
      );
    }
    const { python, packages } = environmentFileSchema.parse(JSON.parse(text));
    return { object: 'environment', python_version: python, packages };
  }
}
