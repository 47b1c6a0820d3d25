/** Which gVisor sandboxes run on, how old it is, and what that costs. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type Finding, note, ok, problem } from './doctor-report.js';

const NAME = 'gVisor';
const DAY_MS = 86_400_000;
/** gVisor's project releases weekly and mends security flaws in new releases only. */
const OLD_AFTER_DAYS = 365;
const NEWER = 'scripts/engine runsc --again   # or https://gvisor.dev/docs/user_guide/install';

/** What is known of a `runsc`. */
export interface RunscFacts {
  readonly path: string;
  /** First line of `runsc --version`. */
  readonly version: string;
  /** It can do all that we make use of, as scripts/lib/runsc.sh found out. */
  readonly isCurrent: boolean;
}

function releaseDay(version: string): number | undefined {
  const match = /(20\d\d)(\d\d)(\d\d)/.exec(version);
  return match === null ? undefined : Date.UTC(Number(match[1]), Number(match[2]) - 1, Number(match[3]));
}

/** `12 days`, `7 weeks`, `28 months`. */
function span(days: number): string {
  const [count, unit] = days < 21 ? [days, 'day'] : days < 120 ? [days / 7, 'week'] : [days / 30.44, 'month'];
  const whole = Math.max(0, Math.floor(count));
  return `${whole} ${unit}${whole === 1 ? '' : 's'}`;
}

/** @param nowMs milliseconds since the epoch, for the age. */
export function gvisorFinding(facts: RunscFacts, nowMs: number): Finding {
  const day = releaseDay(facts.version);
  const days = day === undefined ? undefined : Math.floor((nowMs - day) / DAY_MS);
  const which =
    day === undefined || days === undefined
      ? `${facts.version || 'a runsc that names no version'} (${facts.path})`
      : `of ${new Date(day).toISOString().slice(0, 10)}, ${span(days)} old (${facts.path})`;
  if (!facts.isCurrent) {
    const costs = 'each idle sandbox takes about 3 % of a core, a call some 3 ms more, a start a third more';
    return note(NAME, `${which}: works, but ${costs}`, NEWER);
  }
  if (days !== undefined && days > OLD_AFTER_DAYS) {
    return note(NAME, `${which}: works, but lacks the security fixes of a year`, NEWER);
  }
  return ok(NAME, which);
}

const run = promisify(execFile);

/**
 * @param path the `runsc` in use as scripts/doctor found it; empty where the engine is on another machine, or the
 *   server in a container beside it.
 */
export async function checkGvisor(path: string | undefined, isCurrent: boolean): Promise<Finding[]> {
  if (path === undefined || path === '') return [];
  try {
    const { stdout } = await run(path, ['--version'], { timeout: 10_000 });
    return [gvisorFinding({ path, version: stdout.split('\n')[0] ?? '', isCurrent }, Date.now())];
  } catch (error) {
    const [reason] = (error as Error).message.split('\n', 1);
    return [problem(NAME, `${path} does not run: ${reason}`, 'scripts/engine runsc')];
  }
}
