/**
 * Every endpoint states who may call it, here. A handler that is not in the table fails this test, and so
 * does a line of the table without a handler; what the table says is then tried over HTTP.
 */
import { RequestMethod } from '@nestjs/common';
import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants.js';
import { MetadataScanner, ModulesContainer } from '@nestjs/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACCESS, type Access } from '../../orchestrator/src/auth/caller.js';
import { ADMIN_KEY, type AdminApp, FIRST_KEY, startAdminApp } from './admin/admin-app.js';

/** Paths as the controllers write them: those of projects are served under `/v1`. */
const TABLE: Readonly<Record<string, Access>> = {
  'GET /health/live': 'public',
  'GET /health/ready': 'public',
  'GET /metrics': 'admin',

  'POST /admin/v1/projects': 'admin',
  'GET /admin/v1/projects': 'admin',
  'GET /admin/v1/projects/:project_id': 'admin',
  'POST /admin/v1/projects/:project_id': 'admin',
  'DELETE /admin/v1/projects/:project_id': 'admin',
  'POST /admin/v1/projects/:project_id/api_keys': 'admin',
  'GET /admin/v1/projects/:project_id/api_keys': 'admin',
  'DELETE /admin/v1/projects/:project_id/api_keys/:key_id': 'admin',
  'GET /admin/v1/projects/:project_id/usage': 'admin',
  'GET /admin/v1/usage': 'admin',
  'GET /admin/v1/containers': 'admin',
  'GET /admin/v1/containers/:container_id': 'admin',
  'DELETE /admin/v1/containers/:container_id': 'admin',
  'GET /admin/v1/executions': 'admin',
  'GET /admin/v1/executions/:execution_id': 'admin',
  'GET /admin/v1/webhook_deliveries': 'admin',
  'GET /admin/v1/webhook_deliveries/:delivery_id': 'admin',
  'POST /admin/v1/webhook_deliveries/:delivery_id/redeliver': 'admin',
  'GET /admin/v1/pool': 'admin',
  'GET /admin/v1/queues': 'admin',
  'POST /admin/v1/sweep': 'admin',
  'GET /admin/v1/drain': 'admin',
  'POST /admin/v1/drain': 'admin',
  'POST /admin/v1/resume': 'admin',

  'POST /containers': 'project',
  'GET /containers': 'project',
  'GET /containers/:container_id': 'project',
  'DELETE /containers/:container_id': 'project',

  'POST /containers/:container_id/files': 'project',
  'GET /containers/:container_id/files': 'project',
  'GET /containers/:container_id/files/:file_id': 'project',
  'GET /containers/:container_id/files/:file_id/content': 'project',
  'DELETE /containers/:container_id/files/:file_id': 'project',

  'POST /containers/:container_id/expire': 'project',
  'POST /containers/:container_id/executions': 'project',
  'GET /containers/:container_id/executions': 'project',
  'GET /containers/:container_id/executions/:execution_id': 'project',
  'POST /containers/:container_id/executions/:execution_id/cancel': 'project',

  'POST /conversations': 'project',
  'GET /conversations/:conversation_id': 'project',
  'POST /conversations/:conversation_id': 'project',
  'DELETE /conversations/:conversation_id': 'project',
  'POST /conversations/:conversation_id/items': 'project',
  'GET /conversations/:conversation_id/items': 'project',
  'GET /conversations/:conversation_id/items/:item_id': 'project',
  'DELETE /conversations/:conversation_id/items/:item_id': 'project',

  'GET /environment': 'project',

  'POST /files': 'project',
  'GET /files': 'project',
  'GET /files/:file_id': 'project',
  'DELETE /files/:file_id': 'project',
  'GET /files/:file_id/content': 'project',

  'POST /files/:file_id/links': 'project',
  'GET /files/:file_id/links': 'project',
  'DELETE /files/:file_id/links/:link_id': 'project',
  'GET /links/:token': 'public',
  'GET /links/:token/:name': 'public',

  'GET /models': 'project',
  'GET /models/*': 'project',
  'DELETE /models/*': 'project',

  'POST /responses': 'project',
  'POST /responses/compact': 'project',
  'POST /responses/input_tokens': 'project',
  'GET /responses/:response_id': 'project',
  'DELETE /responses/:response_id': 'project',
  'POST /responses/:response_id/cancel': 'project',
  'GET /responses/:response_id/input_items': 'project',

  'POST /uploads': 'project',
  'POST /uploads/:upload_id/parts': 'project',
  'POST /uploads/:upload_id/complete': 'project',
  'POST /uploads/:upload_id/cancel': 'project',

  'POST /webhook_endpoints': 'project',
  'GET /webhook_endpoints': 'project',
  'GET /webhook_endpoints/callback_secret': 'project',
  'POST /webhook_endpoints/callback_secret/rotate': 'project',
  'GET /webhook_endpoints/:webhook_endpoint_id': 'project',
  'POST /webhook_endpoints/:webhook_endpoint_id': 'project',
  'DELETE /webhook_endpoints/:webhook_endpoint_id': 'project',
  'POST /webhook_endpoints/:webhook_endpoint_id/rotate_secret': 'project',
  'POST /webhook_endpoints/:webhook_endpoint_id/test': 'project',
  'GET /webhook_event_types': 'project',
};

interface Route {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly access: Access;
}

type Handler = (...args: never[]) => unknown;

const read = <T>(key: string, of: object): T | undefined => Reflect.getMetadata(key, of) as T | undefined;
const listOf = <T>(value: T | readonly T[]): readonly T[] => [value].flat() as T[];
const join = (...parts: string[]): string =>
  `/${parts
    .flatMap((part) => part.split('/'))
    .filter(Boolean)
    .join('/')}`;

function routesOf(controller: Handler, handler: Handler): Route[] {
  const method = read<RequestMethod>(METHOD_METADATA, handler);
  if (method === undefined) return [];
  const access = read<Access>(ACCESS, handler) ?? read<Access>(ACCESS, controller) ?? 'project';
  return listOf(read<string | string[]>(PATH_METADATA, controller) ?? '').flatMap((base) =>
    listOf(read<string | string[]>(PATH_METADATA, handler) ?? '').map((path) => {
      const full = join(base, path);
      const name = RequestMethod[method];
      return { name: `${name} ${full}`, method: name, path: full, access };
    }),
  );
}

function routes(server: AdminApp): Route[] {
  const scanner = new MetadataScanner();
  return [...server.app.get(ModulesContainer).values()].flatMap((module) =>
    [...module.controllers.values()].flatMap(({ metatype }) => {
      const controller = metatype as Handler;
      const prototype = controller.prototype as Record<string, Handler>;
      return scanner.getAllMethodNames(prototype).flatMap((name) => routesOf(controller, prototype[name]!));
    }),
  );
}

let server: AdminApp;
beforeAll(async () => {
  server = await startAdminApp({ SANDBOX_POOL: '' });
});
afterAll(() => server?.stop());

describe('access', () => {
  it('is stated for every endpoint, and every statement has its endpoint', () => {
    expect(Object.fromEntries(routes(server).map(({ name, access }) => [name, access]))).toEqual(TABLE);
  });

  it('is what the endpoint really asks for', async () => {
    for (const { name, method, path, access } of routes(server)) {
      const isOutside = access !== 'project';
      const url = `${isOutside ? '' : '/v1'}${path.replaceAll(/:\w+|\*/g, 'x')}`;
      const status = async (key?: string) => (await server.ask(key, method, url)).status;
      const refused = { none: access !== 'public', unknown: access !== 'public', other: access !== 'public' };
      const other = access === 'admin' ? FIRST_KEY : ADMIN_KEY;
      const seen = {
        none: (await status()) === 401,
        unknown: (await status('sk-unknown')) === 401,
        other: (await status(other)) === 401,
      };
      expect([name, seen]).toEqual([name, refused]);
    }
  });
});
