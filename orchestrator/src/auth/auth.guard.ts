import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiError } from '../common/api-error.js';
import { AuthService } from './auth.service.js';
import { ACCESS, type Access, type RequestWithCaller } from './caller.js';
import { Door } from './door.js';

/** `Bearer x` → `x`; Azure-style clients send `api-key: x`. */
export function secretOf(headers: Readonly<Record<string, unknown>>): string | undefined {
  const { authorization, 'api-key': apiKey } = headers;
  if (typeof authorization === 'string') {
    const match = /^Bearer\s+(\S+)\s*$/i.exec(authorization);
    return match?.[1];
  }
  return typeof apiKey === 'string' ? apiKey : undefined;
}

/** Global guard: a project key unless the handler says otherwise. The door asks the same before the body is read. */
@Injectable()
export class AuthGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly auth: AuthService,
    door: Door,
  ) {
    door.set('key', (request, _reply, { access }) => this.admit(request, access ?? 'project'));
  }

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const access =
      this.reflector.getAllAndOverride<Access | undefined>(ACCESS, [
        context.getHandler(),
        context.getClass(),
      ]) ?? 'project';
    await this.admit(context.switchToHttp().getRequest<RequestWithCaller>(), access);
    return true;
  }

  private async admit(request: RequestWithCaller, access: Access): Promise<void> {
    if (access === 'public') return;
    const secret = secretOf(request.headers);
    if (access === 'project') {
      request.caller ??= await this.auth.authenticate(secret);
    } else if (!this.auth.isAdmin(secret)) {
      throw new ApiError(
        'invalid_api_key',
        'This endpoint needs the admin key (DATA_DIR/admin-key, or ADMIN_KEY).',
      );
    }
  }
}
