import { type CanActivate, type ExecutionContext, Injectable, SetMetadata } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { DrainService } from './drain.service.js';

const NEW_WORK = 'code-interpreter:new-work';

/** Above a handler that starts something that takes a while: it is refused while the server drains. */
export const NewWork = () => SetMetadata(NEW_WORK, true);

/** Global guard behind the one that asks for the key, so that a stranger learns nothing. */
@Injectable()
export class DrainGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly drain: DrainService,
  ) {}

  canActivate(context: ExecutionContext): boolean {
    if (this.reflector.get<boolean | undefined>(NEW_WORK, context.getHandler())) this.drain.assertOpen();
    return true;
  }
}
