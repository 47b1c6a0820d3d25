/** `npm run doctor`: what is there, what is wrong, and the command that repairs it. */
import { resolve } from 'node:path';
import { parseEnv } from '../config/env.js';
import type { Env } from '../config/env.schema.js';
import { checkDatabase } from './doctor-database.js';
import { checkGvisor } from './doctor-gvisor.js';
import { checkDisk, checkKeys, checkMemory, checkNode } from './doctor-host.js';
import { type Finding, formatReport, guarded, ok, problem } from './doctor-report.js';
import { checkSandboxes } from './doctor-sandbox.js';
import { checkServer } from './doctor-server.js';

function readConfiguration(): { env: Env; finding: Finding } {
  try {
    return { env: parseEnv(process.env), finding: ok('configuration', 'every variable has a usable value') };
  } catch (error) {
    const says = (error as Error).message.replace(/\s*\n\s*/g, ' ');
    // The rest is checked with the defaults.
    return { env: parseEnv({}), finding: problem('configuration', says, 'change the variables it names') };
  }
}

async function examine(): Promise<Finding[]> {
  const { env, finding } = readConfiguration();
  const dataDir = resolve(env.DATA_DIR);
  return [
    finding,
    ...checkNode(),
    ...(await guarded('engine', 'npm run setup', () => checkSandboxes(env, dataDir))),
    ...(await guarded('gVisor', 'scripts/engine runsc', () =>
      checkGvisor(process.env['RUNSC_IN_USE'], process.env['RUNSC_IS_CURRENT'] === 'yes'),
    )),
    ...(await guarded('database', 'npm run setup', () => checkDatabase(env, dataDir))),
    ...(await guarded('disk', 'df -h', async () => checkDisk(dataDir, env.DISK_FLOOR_BYTES))),
    ...(await guarded('memory', 'free -h', async () => checkMemory(env))),
    ...(await guarded('API key', 'npm start', async () => checkKeys(env, dataDir))),
    ...(await guarded('server', 'npm start', () => checkServer(env))),
  ];
}

const findings = await examine();
process.stdout.write(formatReport(findings));
process.exit(findings.some(({ state }) => state === 'problem') ? 1 : 0);
