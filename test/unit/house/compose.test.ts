/** compose.yaml, the Dockerfile and the page about them say the same as the code. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { envSchema } from '../../../orchestrator/src/config/env.schema.js';
import { parseEnv } from '../../../orchestrator/src/config/env.js';

interface Service {
  readonly image?: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly environment: Readonly<Record<string, string>>;
  readonly volumes: readonly string[];
  readonly ports?: readonly string[];
  readonly depends_on?: Readonly<Record<string, unknown>>;
}

const ROOT = resolve(import.meta.dirname, '../../..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

const text = read('compose.yaml');
const page = read('docs/n8n/docker-compose.md');
const dockerfile = read('orchestrator/Dockerfile');
const { services, volumes } = parse(text) as {
  services: Record<'postgres' | 'orchestrator' | 'n8n', Service>;
  volumes: Record<string, unknown>;
};

/** `${NAME}`, `${NAME:-default}` and `${NAME:?why}`, as Compose reads them. */
const VARIABLE = /\$\{([A-Z0-9_]+)(?::([-?])([^}]*))?\}/g;
const variables = [...text.matchAll(VARIABLE)].map(([, name, kind]) => ({
  name: name!,
  needed: kind === '?',
}));
const filledIn = (value: string): string =>
  value.replace(VARIABLE, (_, name: string, kind: string | undefined, rest: string) =>
    kind === '-' ? rest : `value-of-${name.toLowerCase()}`,
  );
const environment = Object.fromEntries(
  Object.entries(services.orchestrator.environment).map(([name, value]) => [name, filledIn(value)]),
);

describe('compose.yaml', () => {
  it('sets only variables that the server has, to values that it takes', () => {
    expect(Object.keys(environment).filter((name) => !(name in envSchema.shape))).toEqual([]);
    expect(parseEnv(environment)).toMatchObject({
      SANDBOX_RUNTIME: 'code-interpreter',
      WEBHOOK_ALLOW_PRIVATE: true,
    });
  });

  it('gives the server the database that it starts', () => {
    const database = new URL(environment['DATABASE_URL']!);
    const { environment: made } = services.postgres;
    expect(database.hostname).toBe('postgres');
    expect(database.username).toBe(made['POSTGRES_USER']);
    expect(database.password).toBe(filledIn(made['POSTGRES_PASSWORD']!));
    expect(database.pathname).toBe(`/${made['POSTGRES_DB']}`);
  });

  it('mounts the sandboxes’ folder under the same path on both sides, and the engine’s socket', () => {
    const folder = environment['SANDBOX_CHANNEL_DIR']!;
    expect(services.orchestrator.volumes).toContain(`${folder}:${folder}`);
    expect(services.orchestrator.volumes).toContain('/var/run/docker.sock:/var/run/docker.sock');
  });

  it('publishes ports on loopback alone, the ones that the programs listen on', () => {
    expect(services.postgres.ports).toBeUndefined();
    const port = /^ENV .*\bPORT=(\d+)/m.exec(dockerfile)?.[1];
    expect(Number(port)).toBe(parseEnv({}).PORT);
    expect(services.orchestrator.ports).toEqual([`127.0.0.1:${port}:${port}`]);
    expect(services.n8n.ports).toEqual(['127.0.0.1:5678:5678']);
    expect(page).toContain(`http://orchestrator:${port}/v1`);
  });

  it('keeps data in volumes that are declared', () => {
    const named = Object.values(services)
      .flatMap((service) => service.volumes.map((volume) => volume.split(':')[0]!))
      .filter((source) => !source.startsWith('/'));
    expect(named.sort()).toEqual(Object.keys(volumes).sort());
  });

  it('runs the n8n that the nodes are tested with', () => {
    const tested = JSON.parse(read('test/e2e/n8n/newest/package.json')) as { dependencies: { n8n: string } };
    expect(services.n8n.image).toMatch(new RegExp(`:${tested.dependencies.n8n.replaceAll('.', '\\.')}$`));
    expect(read('docs/n8n/queue-mode.md')).toContain(services.n8n.image);
  });

  it('needs no variable that the page does not explain', () => {
    for (const { name } of variables) expect(page).toContain(`\`${name}\``);
    for (const { name } of variables.filter(({ needed }) => needed)) {
      expect(page).toMatch(new RegExp(`^ +${name}=`, 'm'));
    }
  });

  it.skipIf(spawnSync('docker', ['compose', 'version']).status !== 0)('is read by Docker Compose', () => {
    const folder = mkdtempSync(join(tmpdir(), 'code-interpreter-compose-'));
    try {
      const file = join(folder, '.env');
      writeFileSync(file, variables.map(({ name }) => `${name}=x\n`).join(''));
      const read = spawnSync('docker', [
        'compose',
        '--env-file',
        file,
        '-f',
        join(ROOT, 'compose.yaml'),
        'config',
        '-q',
      ]);
      expect(read.stderr.toString()).toBe('');
      expect(read.status).toBe(0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('orchestrator/Dockerfile', () => {
  it('copies what is there', () => {
    const copies = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, list]) =>
      list!.split(' '),
    );
    expect(copies.length).toBeGreaterThan(4);
    expect(copies.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
    expect(services.orchestrator.build).toEqual({ context: '.', dockerfile: 'orchestrator/Dockerfile' });
  });

  it('asks for a health that is served', () => {
    expect(dockerfile).toContain("'/health/ready'");
    expect(JSON.parse(read('docs/api/openapi.json'))).toHaveProperty(['paths', '/health/ready']);
  });
});
