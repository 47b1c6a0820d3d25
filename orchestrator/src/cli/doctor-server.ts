/** Is the port free, or is it us who listen there, and are we well? */
import { createServer } from 'node:net';
import type { Env } from '../config/env.schema.js';
import { type Finding, off, ok, problem } from './doctor-report.js';

const NAME = 'server';
const TIMEOUT_MS = 5_000;

interface Readiness {
  readonly status?: unknown;
  readonly problems?: readonly string[];
}

/** An error code such as EADDRINUSE, or nothing when the address can be listened on. */
function tryListen(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen(port, host, () => server.close(() => resolve(undefined)));
  });
}

async function ask(url: string): Promise<Readiness | undefined> {
  try {
    const reply = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    return (await reply.json()) as Readiness;
  } catch {
    return undefined;
  }
}

/** 0.0.0.0 and :: are for listening, not for asking. */
function addressOf(env: Env): string {
  const host = env.HOST === '0.0.0.0' || env.HOST === '::' ? '127.0.0.1' : env.HOST;
  return `http://${host.includes(':') ? `[${host}]` : host}:${env.PORT}`;
}

export async function checkServer(env: Env): Promise<Finding[]> {
  const where = `${env.HOST}:${env.PORT}`;
  if (env.PORT === 0) return [ok(NAME, 'PORT is 0: each start picks a free port')];
  const refused = await tryListen(env.HOST, env.PORT);
  if (refused === undefined) return [off(NAME, `does not run; ${where} is free`, 'npm start')];
  if (refused !== 'EADDRINUSE') {
    return [problem(NAME, `${where} cannot be listened on (${refused})`, 'change HOST or PORT')];
  }
  const readiness = await ask(`${addressOf(env)}/health/ready`);
  if (readiness?.status === 'ok') return [ok(NAME, `runs and is ready at ${addressOf(env)}`)];
  if (readiness?.problems) {
    return readiness.problems.map((each) =>
      problem(NAME, `runs, but is not ready: ${each}`, 'restart npm start'),
    );
  }
  return [
    problem(
      NAME,
      `${where} is taken by another program`,
      `PORT=${env.PORT + 1} npm start    # or find it: ss -ltnp 'sport = :${env.PORT}'`,
    ),
  ];
}
