/** Are sandboxes made from a template as good as others? Asked once at boot, of two of them. */
import type { Sandbox, SandboxSpec } from '../sandbox.driver.js';

/** Milliseconds. */
const TIMEOUT_MS = 15_000;
const CLOCK_TOLERANCE_MS = 2_000;

/** Sees the same in a sandbox that started from nothing, but for the numbers. */
const CODE = `
import json, os, random, sys, tempfile, time
disk = os.statvfs('/mnt/data')
numpy = sys.modules.get('numpy')
print(json.dumps({
    'random': [random.random(), numpy and numpy.random.random(), next(tempfile._get_candidate_names())],
    'now': time.time(),
    'memory': int(open('/proc/meminfo').readline().split()[1]) * 1024,
    'disk': disk.f_blocks * disk.f_frsize,
    'files': os.listdir('/mnt/data'),
    'user': os.getuid(),
}))
`;

export interface CloneFacts {
  readonly random: readonly unknown[];
  /** Seconds since 1970, by the clock inside. */
  readonly now: number;
  /** Bytes. */
  readonly memory: number;
  readonly disk: number;
  readonly files: readonly string[];
  readonly user: number;
  /** When it was asked, and when it had answered, in milliseconds by the host's clock. */
  readonly askedAt: number;
  readonly answeredAt: number;
}

export async function askClone(sandbox: Sandbox): Promise<CloneFacts> {
  await sandbox.claim();
  const askedAt = Date.now();
  let text = '';
  const limits = { timeoutMs: TIMEOUT_MS, maxOutputBytes: 65_536, maxImages: 0, maxImageBytes: 0 };
  for await (const event of sandbox.execute(CODE, limits)) {
    if (event.type === 'stdout') text += event.text;
    if (event.type === 'error') throw new Error(`its code failed: ${event.value}`);
  }
  return {
    ...(JSON.parse(text) as Omit<CloneFacts, 'askedAt' | 'answeredAt'>),
    askedAt,
    answeredAt: Date.now(),
  };
}

/** What is wrong with it, in words; undefined if nothing is. `limit`: bytes that the host grants it. */
export function judgeClone(facts: CloneFacts, spec: SandboxSpec, limit: number): string | undefined {
  const now = facts.now * 1_000;
  if (now < facts.askedAt - CLOCK_TOLERANCE_MS || now > facts.answeredAt + CLOCK_TOLERANCE_MS)
    return 'its clock is wrong';
  if (facts.memory > limit) return 'it sees more memory than it has';
  if (facts.disk !== spec.dataBytes) return 'the size of /mnt/data is another';
  if (facts.files.length > 0) return 'there are files in it';
  if (facts.user === 0) return 'code runs as root';
  return undefined;
}

/** Whether any of the random values of one is among those of another. */
export function repeats(all: readonly CloneFacts[]): boolean {
  const values = all.flatMap(({ random }) => random.filter((value) => value !== null));
  return new Set(values).size < values.length;
}
