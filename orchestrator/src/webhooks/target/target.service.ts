/**
 * Decides whom webhooks may call. A URL is looked at when it is registered, so that a person hears of it,
 * and the address again when the connection is made, because what a name means changes.
 */
import { lookup as resolve, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { promisify } from 'node:util';
import { Inject, Injectable } from '@nestjs/common';
import { ApiError } from '../../common/api-error.js';
import { ENV } from '../../config/config.module.js';
import type { Env } from '../../config/env.schema.js';
import { mayCall, reachOf, type TargetPolicy } from './address.js';

const MAX_LENGTH = 2048;
/** Milliseconds a name may take; then the connection decides. */
const RESOLVE_MS = 3_000;

/** Nothing that is reached by this name may be called. */
export class ForbiddenTargetError extends Error {
  override readonly name = 'ForbiddenTargetError';
}

/** HOST is loopback and nothing says that others come in through a proxy: whoever asks is on this machine. */
export function policyOf(env: Pick<Env, 'HOST' | 'PUBLIC_URL' | 'WEBHOOK_ALLOW_PRIVATE'>): TargetPolicy {
  const isLocal = env.HOST === 'localhost' || reachOf(env.HOST) === 'loopback';
  return {
    allowPrivate: env.WEBHOOK_ALLOW_PRIVATE,
    allowLoopback: isLocal && env.PUBLIC_URL === undefined,
  };
}

const withoutBrackets = (host: string): string => host.replace(/^\[|\]$/g, '');

@Injectable()
export class WebhookTargets {
  private readonly policy: TargetPolicy;

  constructor(@Inject(ENV) env: Env) {
    this.policy = policyOf(env);
  }

  /** Throws what is wrong with a URL that a caller wants to be called at; `param` is where it stood. */
  async check(text: string, param: string): Promise<void> {
    const url = parse(text, param);
    const host = withoutBrackets(url.hostname);
    if (!(await this.mayCallHost(host))) {
      throw new ApiError(
        'webhook_url_refused',
        `'${param}' is refused: '${host}' has no address that this server calls. ` +
          'Only public addresses are called, unless the operator sets WEBHOOK_ALLOW_PRIVATE=1.',
        { param },
      );
    }
  }

  /** For `net.connect`: resolves as usual and leaves out what must not be called. */
  readonly lookup: LookupFunction = (host, options, callback) => {
    resolve(host, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, []);
      const allowed = found.filter(({ address }) => mayCall(address, this.policy));
      const [first] = allowed;
      if (!first) return callback(forbidden(host), []);
      if (options.all) return callback(null, allowed);
      callback(null, first.address, first.family);
    });
  };

  /** A host that is an address is connected to without a look-up, so it is checked here. */
  assertHost(hostname: string): void {
    const host = withoutBrackets(hostname);
    if (isIP(host) && !mayCall(host, this.policy)) throw forbidden(host);
  }

  /** A name that cannot be resolved just now is let through: it is asked again when it is called. */
  private async mayCallHost(host: string): Promise<boolean> {
    if (isIP(host)) return mayCall(host, this.policy);
    try {
      const found = await this.resolve(host);
      return found.some(({ address }) => mayCall(address, this.policy));
    } catch (error) {
      return (error as NodeJS.ErrnoException).code !== 'ENOTFOUND';
    }
  }

  protected async resolve(host: string): Promise<readonly LookupAddress[]> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new Error(`${host} took too long to resolve`)), RESOLVE_MS);
    try {
      return await Promise.race([promisify(resolve)(host, { all: true }), late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }
}

const forbidden = (host: string): ForbiddenTargetError =>
  new ForbiddenTargetError(`${host} has no address that webhooks may be sent to`);

function parse(text: string, param: string): URL {
  if (text.length > MAX_LENGTH) {
    throw new ApiError(
      'string_above_max_length',
      `Invalid '${param}': string too long. Expected a string with maximum length ${MAX_LENGTH}, but got a string with length ${text.length} instead.`,
      { param },
    );
  }
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw invalid(param, 'expected a URL that begins with https:// or http://');
  }
  if (url.username !== '' || url.password !== '') {
    throw invalid(param, 'a URL with a user name or a password would show it in lists and logs');
  }
  return url;
}

const invalid = (param: string, why: string): ApiError =>
  new ApiError('invalid_value', `Invalid value for '${param}': ${why}.`, { param });
