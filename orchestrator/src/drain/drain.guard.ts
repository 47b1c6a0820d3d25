import {
  applyDecorators,
  type CanActivate,
  type ExecutionContext,
  Injectable,
  SetMetadata,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { Door } from '../auth/door.js';
import { markRoute } from '../common/route-config.js';
import { DrainService } from './drain.service.js';

const NEW_WORK = 'code-interpreter:new-work';

/** Above a handler that starts something that takes a while: it is refused while the server drains. */
export const NewWork = () => applyDecorators(SetMetadata(NEW_WORK, true), markRoute({ newWork: true }));

/** Behind the question for the key, so that a stranger learns nothing: at the door, and again when the body is there. */
@Injectable()
export class DrainGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly drain: DrainService,
    door: Door,
  ) {
    door.set('drain', (_request, _reply, { newWork }) => {
      if (newWork) this.drain.assertOpen();
    });
  }

  canActivate(context: ExecutionContext): boolean {
    if (this.reflector.get<boolean | undefined>(NEW_WORK, context.getHandler())) this.drain.assertOpen();
    return true;
  }
}
