/** Which paths stand outside the API's prefix; the server and its OpenAPI document must agree. */
import type { INestApplication } from '@nestjs/common';

const OUTSIDE = ['health/live', 'health/ready', 'metrics', 'links/{*path}', 'admin/v1/{*path}'];

export function setPrefix(app: Pick<INestApplication, 'setGlobalPrefix'>, prefix: string): void {
  app.setGlobalPrefix(prefix, { exclude: OUTSIDE });
}
