import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { ApiError } from '../common/api-error.js';
import { newId } from '../common/ids.js';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { type ActiveKey, ApiKeyRepository, type KeyRecord } from './api-key.repository.js';
import type { Caller } from './caller.js';
import { keepKey } from './key-files.js';
import { hashSecret, hintOf, newSecret, sameSecret } from './secrets.js';

/** Milliseconds a looked-up key is trusted; a revoked key works at most this long. */
const CACHE_MS = 2_000;
/** Milliseconds between two notes of when a key was last used. */
const TOUCH_MS = 60_000;
const DEFAULT_PROJECT = { id: 'proj_default', name: 'Default project' };

interface CachedKey {
  readonly record: ActiveKey | null;
  readonly at: number;
}

@Injectable()
export class AuthService implements OnApplicationBootstrap {
  private readonly cache = new Map<string, CachedKey>();
  private readonly touched = new Map<string, number>();
  private readonly adminKey: string;
  readonly firstKey: string;

  constructor(
    private readonly keys: ApiKeyRepository,
    @Inject(ENV) env: Env,
  ) {
    this.firstKey = env.API_KEY ?? keepKey(env.DATA_DIR, 'api-key', 'sk');
    this.adminKey = env.ADMIN_KEY ?? keepKey(env.DATA_DIR, 'admin-key', 'admin');
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.keys.ensureDefault(DEFAULT_PROJECT, {
      id: newId.apiKey(),
      name: 'First key',
      hash: hashSecret(this.firstKey),
      hint: hintOf(this.firstKey),
    });
  }

  /** The project behind a bearer secret, or 401; called by the guard for every request. */
  async authenticate(secret: string | undefined): Promise<Caller> {
    if (!secret) {
      throw new ApiError(
        'invalid_api_key',
        "You didn't provide an API key. Send it as 'Authorization: Bearer YOUR_KEY'.",
      );
    }
    const hash = hashSecret(secret);
    const record = await this.lookUp(hash);
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
    this.cache.clear();
    return revoked;
  }

  /** Called when a project's state changed, so that the next request sees it. */
  forget(): void {
    this.cache.clear();
  }

  private async lookUp(hash: string): Promise<CachedKey['record']> {
    const cached = this.cache.get(hash);
    if (cached && Date.now() - cached.at < CACHE_MS) return cached.record;
    const record = await this.keys.findActive(hash);
    if (this.cache.size > 10_000) this.cache.clear();
    this.cache.set(hash, { record, at: Date.now() });
    return record;
  }

  private noteUse(id: string): void {
    const now = Date.now();
    if (now - (this.touched.get(id) ?? 0) < TOUCH_MS) return;
    this.touched.set(id, now);
    void this.keys.touch(id).catch(() => this.touched.delete(id));
  }
}
