/** What the numbers were measured on; nothing that names the machine. */
import { execFileSync } from 'node:child_process';
import { cpus, freemem, loadavg, release, totalmem } from 'node:os';
import { engineSettings } from '../test/fakes/sandboxes/real-engine.js';

const MIB = 1024 * 1024;

function said(command: string, ...args: string[]): string {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return 'unknown';
  }
}

export const load = (): number[] => loadavg().map((value) => Math.round(value * 100) / 100);

export function machine(): Readonly<Record<string, unknown>> {
  const { dockerHost, image } = engineSettings();
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cpus: cpus().length,
    memory_mb: Math.round(totalmem() / MIB),
    free_memory_mb: Math.round(freemem() / MIB),
    kernel: release(),
    node: process.version,
    docker: said('docker', '--host', dockerHost, 'version', '--format', '{{.Server.Version}}'),
    runsc: /^runsc: (\S+)/m.exec(said('scripts/engine', 'status'))?.[1] ?? 'unknown',
    image,
    commit: said('git', 'rev-parse', '--short', 'HEAD'),
    changed_files: said('git', 'status', '--porcelain', '--', 'orchestrator', 'sandbox')
      .split('\n')
      .filter(Boolean).length,
  };
}
