import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EnvironmentService } from '../../../orchestrator/src/environment/environment.service.js';
import { type AdminApp, FIRST_KEY, startAdminApp } from './admin-app.js';

let server: AdminApp;
beforeAll(async () => {
  server = await startAdminApp();
});
afterAll(() => server?.stop());

describe('/metrics', () => {
  it('needs the admin key, or METRICS_PUBLIC', async () => {
    expect((await server.ask(undefined, 'GET', '/metrics')).status).toBe(401);
    expect((await server.ask(FIRST_KEY, 'GET', '/metrics')).status).toBe(401);
    const { status, headers } = await server.admin('GET', '/metrics');
    expect(status).toBe(200);
    expect(headers['content-type']).toContain('text/plain; version=0.0.4');
    const open = await startAdminApp({ METRICS_PUBLIC: '1' });
    try {
      expect((await open.ask(undefined, 'GET', '/metrics')).status).toBe(200);
    } finally {
      await open.stop();
    }
  });

  it('counts requests by route pattern, whatever their outcome', async () => {
    const container = (await server.ask(FIRST_KEY, 'POST', '/v1/containers', { name: 'test' })).body.id;
    await server.ask(FIRST_KEY, 'GET', `/v1/containers/${container}`);
    await server.ask('sk-wrong', 'GET', `/v1/containers/${container}`);
    await server.ask(FIRST_KEY, 'GET', '/v1/nothing/here');
    await server.ask(FIRST_KEY, 'POST', `/v1/containers/${container}/executions`, { code: 'print:1' });
    const { text } = await server.admin('GET', '/metrics');
    const count = (labels: string) =>
      text.includes(`code_interpreter_http_request_duration_seconds_count{${labels}} 1`);
    expect(count('method="GET",route="/v1/containers/:container_id",status="200"')).toBe(true);
    expect(count('method="GET",route="/v1/containers/:container_id",status="401"')).toBe(true);
    expect(count('method="GET",route="unmatched",status="404"')).toBe(true);
    expect(text).not.toContain(container);
    expect(text).toContain('code_interpreter_executions_total{status="completed"} 1');
    expect(text).toContain('code_interpreter_execution_duration_seconds_count{status="completed"} 1');
  });

  it('tells the state of pool, containers, storage, queues and process', async () => {
    const { text } = await server.admin('GET', '/metrics');
    for (const line of [
      'code_interpreter_pool_sandboxes{size="1g",state="target"} 1',
      'code_interpreter_containers_live 1',
      'code_interpreter_sandboxes_bound 1',
      'code_interpreter_host_free_memory_bytes 17179869184',
      'code_interpreter_blob_store_bytes ',
      'code_interpreter_blob_store_free_bytes ',
      'code_interpreter_queue_jobs{queue="retention",state="failed"} 0',
      'nodejs_eventloop_lag_seconds ',
      'process_resident_memory_bytes ',
    ]) {
      expect(text).toContain(`\n${line}`);
    }
  });

  it('tells the rest when a part cannot be measured', async () => {
    const memory = server.driver.memory;
    server.driver.memory = () => Promise.reject(new Error('engine down'));
    try {
      const { status, text } = await server.admin('GET', '/metrics');
      expect(status).toBe(200);
      expect(text).not.toContain('\ncode_interpreter_host_free_memory_bytes ');
      expect(text).toContain('\ncode_interpreter_containers_live ');
    } finally {
      server.driver.memory = memory;
    }
  });
});

describe('/v1/environment', () => {
  it('lists the packages of the image, once the image was listed', async () => {
    const path = join(tmpdir(), `environment-${process.pid}.json`);
    const service = new EnvironmentService(path);
    await expect(service.get()).rejects.toMatchObject({ code: 'not_found' });
    const packages = [{ name: 'numpy', version: '2.1.0', modules: ['numpy'] }];
    await writeFile(path, JSON.stringify({ python: '3.11.2', packages }));
    expect(await service.get()).toEqual({ object: 'environment', python_version: '3.11.2', packages });
    await writeFile(path, 'changed');
    expect((await service.get()).packages).toEqual(packages);
  });

  it('answers to project keys', async () => {
    expect((await server.ask(undefined, 'GET', '/v1/environment')).status).toBe(401);
    expect([200, 404]).toContain((await server.ask(FIRST_KEY, 'GET', '/v1/environment')).status);
  });
});
