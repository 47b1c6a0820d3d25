import { type ArgumentMetadata, Injectable, type PipeTransform } from '@nestjs/common';
import type { z } from 'zod';
import { parseWire } from './schema-error.js';

/** Global pipe: every `@Body({ schema })`, `@Query({ schema })`, `@Param({ schema })` goes through here. */
@Injectable()
export class WireValidationPipe implements PipeTransform {
  transform(value: unknown, metadata: ArgumentMetadata): unknown {
    const schema = (metadata as ArgumentMetadata & { schema?: z.ZodType }).schema;
    if (!schema) return value;
    return parseWire(schema, value ?? (metadata.type === 'custom' ? value : {}));
  }
}
