import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { ApiError } from '../common/api-error.js';
import { newId } from '../common/ids.js';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { ApiKeyRepository, type KeyRecord } from './api-key.repository.js';
import type { Caller } from './caller.js';
import { KeyCache } from './key-cache.js';
import { keepKey } from './key-files.js';
import { hashSecret, hintOf, newSecret, sameSecret } from './secrets.js';

/** Milliseconds between two notes of when a key was last used. */
const TOUCH_MS = 60_000;
const MAX_TOUCHED = 10_000;
const DEFAULT_PROJECT = { id: 'proj_default', name: 'Default project' };

@Injectable()
export class AuthService implements OnApplicationBootstrap {
  private readonly logger = new Logger(AuthService.name);
  private readonly cache: KeyCache;
  /** Keys whose use was noted within the last `TOUCH_MS`. */
  private readonly touched = new LRUCache<string, true>({ max: MAX_TOUCHED, ttl: TOUCH_MS });
  private readonly adminKey: string;
  readonly firstKey: string;

  constructor(
    private readonly keys: ApiKeyRepository,
    @Inject(ENV) env: Env,
  ) {
    this.cache = new KeyCache((hashes) => keys.findActive(hashes));
    this.firstKey = env.API_KEY ?? keepKey(env.DATA_DIR, 'api-key', 'sk');
    this.adminKey = env.ADMIN_KEY ?? keepKey(env.DATA_DIR, 'admin-key', 'admin');
  }

  async onApplicationBootstrap(): Promise<void> {
    const { revokedAt } = await this.keys.ensureDefault(DEFAULT_PROJECT, {
      id: newId.apiKey(),
      name: 'First key',
      hash: hashSecret(this.firstKey),
      hint: hintOf(this.firstKey),
    });
    if (revokedAt) this.logger.warn('API_KEY was revoked, so it opens nothing. Configure another one.');
  }

  /** The project behind a bearer secret, or 401; called for every request, before its body is read. */
  async authenticate(secret: string | undefined): Promise<Caller> {
    if (!secret) {
      throw new ApiError(
        'invalid_api_key',
        "You didn't provide an API key. Send it as 'Authorization: Bearer YOUR_KEY'.",
      );
    }
    const record = await this.cache.find(hashSecret(secret));
    if (!record) throw new ApiError('invalid_api_key', 'Incorrect API key provided.');
    if (record.suspended) {
      throw new ApiError('project_suspended', 'This project is suspended. Ask the operator of this server.');
    }
    this.noteUse(record.id);
    return { projectId: record.projectId, keyId: record.id, limits: record.limits };
  }

  isAdmin(secret: string | undefined): boolean {
    return secret !== undefined && sameSecret(secret, this.adminKey);
  }

  /** Makes a key; the secret is in the answer and nowhere else. */
  async createKey(projectId: string, name: string): Promise<KeyRecord & { secret: string }> {
    const secret = newSecret('sk');
    const record = await this.keys.insert({
      id: newId.apiKey(),
      projectId,
      name,
      hash: hashSecret(secret),
      hint: hintOf(secret),
    });
    return { ...record, secret };
  }

  listKeys(projectId: string): Promise<KeyRecord[]> {
    return this.keys.list(projectId);
  }

  async revokeKey(projectId: string, id: string): Promise<boolean> {
    const revoked = await this.keys.revoke(projectId, id);
    this.cache.forget();
    return revoked;
  }

  /**
   * Forgets keys that were revoked before `before`. A key of the configuration stays: forgotten, it would be made
   * known again by the next start, and open what it must not.
   */
  forgetRevoked(before: Date): Promise<number> {
    return this.keys.removeRevoked(before, hashSecret(this.firstKey));
  }

  /** Called when a project's state changed, so that the next request sees it. */
  forget(): void {
    this.cache.forget();
  }

  private noteUse(id: string): void {
    if (this.touched.has(id)) return;
    this.touched.set(id, true);
    void this.keys.touch(id).catch(() => this.touched.delete(id));
  }
}
