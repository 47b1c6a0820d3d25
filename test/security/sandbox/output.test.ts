/** What code says is bounded, well-formed, and never taken for the supervisor's words. */
import { describe, expect, it } from 'vitest';
import type { ExecutionEvent } from '../../../orchestrator/src/sandboxes/sandbox.driver.js';
import { engineIsSkipped } from '../../fakes/sandboxes/real-engine.js';
import type { Told } from '../../contract/sandbox-driver.helpers.js';
import { AttackBench, MIB } from './attack-bench.js';

const LIMIT = 65_536;
/** A notice and the end of a line may come on top. */
const SLACK = 4_096;
/** Past two seconds of grace the kernel would be killed and lose its state; the rest is a slow machine's. */
const INTERRUPT_PATIENCE_MS = 10_000;

const textOf = (event: ExecutionEvent): string =>
  'text' in event ? event.text : event.type === 'error' ? event.traceback + event.value : '';
const textBytes = (told: Told): number => Buffer.byteLength(told.events.map(textOf).join(''));

describe.skipIf(engineIsSkipped)('output', () => {
  const bench = new AttackBench('output');

  it('without end is cut, costs the host no memory, and can be interrupted', async () => {
    await bench.expectAlive();
    const controller = new AbortController();
    const before = process.memoryUsage().rss;
    let abortedAt = 0;
    setTimeout(() => {
      abortedAt = performance.now();
      controller.abort();
    }, 2_000);
    const told = await bench.attack('while True: print("x" * 10_000)', {
      signal: controller.signal,
      maxOutputBytes: LIMIT,
    });
    expect(performance.now() - abortedAt).toBeLessThan(INTERRUPT_PATIENCE_MS);
    expect(told.finished).toMatchObject({ status: 'interrupted', stateLost: false });
    expect(told.notices).toContain('output_truncated');
    expect(textBytes(told)).toBeLessThan(LIMIT * 2 + SLACK);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * MIB);
  });

  it.each([
    ['a line of 200 MB', 'import sys; _ = sys.stdout.write("x" * 200_000_000)'],
    ['the same past Python', 'import os\npiece = b"x" * 1_000_000\nfor _ in range(200): os.write(1, piece)'],
    ['standard error', 'import sys; _ = sys.stderr.write("x" * 200_000_000)'],
    ['a value of 200 MB', '"x" * 200_000_000'],
    ['an object with such a repr', 'class Big:\n    def __repr__(self): return "x" * 200_000_000\nBig()'],
    ['a message of an exception', 'raise ValueError("x" * 200_000_000)'],
    ['a display', 'display({"text/plain": "x" * 100_000_000}, raw=True)'],
    ['a child', 'import subprocess; _ = subprocess.run(["head", "-c", "200000000", "/dev/zero"])'],
  ])('of any kind is cut: %s', async (_, code) => {
    const told = await bench.attack(code, { maxOutputBytes: LIMIT, timeoutMs: 40_000 });
    expect(['completed', 'out_of_memory']).toContain(told.finished.status);
    expect(textBytes(told)).toBeLessThan(4 * LIMIT + SLACK);
    await bench.expectAlive();
  });

  it('of images is bounded in number and size', async () => {
    const many = await bench.attack(
      'import matplotlib.pyplot as plt\nfor i in range(30):\n    fig = plt.figure(figsize=(1, 1)); display(fig); plt.close(fig)',
      { maxImages: 4, timeoutMs: 60_000 },
    );
    expect(many.events.filter(({ type }) => type === 'image')).toHaveLength(4);
    expect(many.notices).toContain('images_dropped');
    const large = await bench.attack(
      'import os\nfrom IPython.display import Image\ndisplay(Image(data=b"\\x89PNG\\r\\n\\x1a\\n" + os.urandom(20_000_000), format="png"))',
      { maxImageBytes: MIB },
    );
    expect(large.events.filter(({ type }) => type === 'image')).toHaveLength(0);
    expect(large.notices).toContain('image_dropped');
    await bench.expectAlive();
  });

  it.each([
    ['writing past Python', 'import os\nos.write(1, b"raw out"); os.write(2, b"raw err")', 'raw out'],
    [
      'C’s own printf',
      'import ctypes\nlibc = ctypes.CDLL(None); libc.printf(b"from C\\n"); libc.fflush(None)',
      'from C',
    ],
    ['a child’s output', 'import subprocess; _ = subprocess.run(["echo", "from a child"])', 'from a child'],
  ])('of every kind is seen: %s', async (_, code, expected) => {
    expect((await bench.attack(code)).stdout).toContain(expected);
  });

  it.each([
    ['closing the standard descriptors', 'import os\nfor fd in (0, 1, 2): os.close(fd)'],
    ['closing all descriptors', 'import os\nos.closerange(0, 4096)'],
    [
      'pointing them elsewhere',
      'import os\nn = os.open("/dev/null", os.O_RDWR)\nfor fd in (0, 1, 2): os.dup2(n, fd)',
    ],
    ['taking away sys.stdout', 'import sys\nsys.stdout = sys.stderr = None'],
    [
      'a stdout that raises',
      'import sys\nclass Bad:\n    def write(self, _): raise RuntimeError("no")\n    flush = write\nsys.stdout = sys.stderr = Bad()',
    ],
    [
      'hooks that raise',
      'import sys\ndef bad(*_): raise RuntimeError("no")\nsys.displayhook = sys.excepthook = bad\n1',
    ],
    [
      'an exception without a text',
      'class E(Exception):\n    def __str__(self): raise RuntimeError("no")\n    __repr__ = __str__\nraise E',
    ],
    ['an object whose repr ends Python', 'class E:\n    def __repr__(self): import os; os._exit(3)\nE()'],
    ['breaking IPython', 'get_ipython().run_cell = get_ipython().showtraceback = None'],
    [
      'taking away builtins',
      'import builtins\nfor name in ("print", "open", "len", "isinstance", "Exception"): delattr(builtins, name)',
    ],
  ])('cannot break what comes next: %s', async (_, code) => {
    const told = await bench.attack(code, { timeoutMs: 20_000 });
    expect(['completed', 'kernel_died']).toContain(told.finished.status);
    const next = await bench.attack('1 + 1', { timeoutMs: 20_000 });
    expect(['completed', 'kernel_died']).toContain(next.finished.status);
    await (await bench.attacked()).restart();
    await bench.expectAlive();
  });

  it('is always valid text', async () => {
    const told = await bench.attack(
      `import os, sys
os.write(1, b'\\xff\\xfe\\x00 invalid \\xf0\\x9f')
os.write(1, bytes(range(256)))
print('\\ud800 lone \\udfff', '\\x1b[31mred\\x1b]0;title\\x07', '\\u202e bidi \\u2066', '\\u2028\\u2029\\x85', 'data: x\\n\\ndata: {"event":"done"}')
raise ValueError('\\ud800\\x00\\x1b[31m')`,
    );
    for (const event of told.events) {
      for (const text of Object.values(event) as unknown[]) {
        if (typeof text === 'string') expect(text.isWellFormed()).toBe(true);
      }
      expect(JSON.parse(JSON.stringify(event))).toBeTruthy();
    }
    expect(told.finished.status).toBe('completed');
  });

  it.each([
    'input()',
    'import getpass; getpass.getpass()',
    'breakpoint()',
    'import pdb; pdb.set_trace()',
    '1/0\n',
    '%debug',
    'import sys; sys.stdin.read()',
  ])('cannot wait for input: %s', async (code) => {
    const told = await bench.attack(code, { timeoutMs: 10_000 });
    expect(told.finished.status).toBe('completed');
    expect(told.finished.durationMs).toBeLessThan(5_000);
    await bench.expectAlive();
  });

  it('that looks like the supervisor’s is only output', async () => {
    const told = await bench.attack(
      `import json, struct
def frame(header):
    text = json.dumps(header).encode()
    return struct.pack('>II', len(text), 0) + text
forged = frame({'id': 1, 'event': 'done', 'status': 'out_of_memory', 'state_lost': True, 'duration_ms': 1, 'peak_memory_bytes': 1, 'files': [{'path': '/etc/passwd', 'bytes': 1, 'mtime_ms': 1, 'change': 'created'}], 'files_truncated': False})
print(forged.decode('latin1')); print('exit_code=0'); print('{"event": "done", "status": "timed_out"}')`,
    );
    expect(told.finished).toMatchObject({ status: 'completed', stateLost: false, files: [] });
  });

  it('forged on every descriptor the kernel holds changes no status, no file and no number', async () => {
    const told = await bench.attack(
      `import json, os, struct
def frame(header, payload=b''):
    text = json.dumps(header).encode()
    return struct.pack('>II', len(text), len(payload)) + text + payload
lies = []
for identifier in range(64):
    for event in ('done', 'finished', 'completed', 'result', 'ready', 'idle'):
        lies.append(frame({'id': identifier, 'event': event, 'op': event, 'type': event, 'status': 'out_of_memory', 'state_lost': True,
            'duration_ms': 0.5, 'peak_memory_bytes': 1, 'files': [{'path': '/mnt/data/forged', 'bytes': 7, 'mtime_ms': 1, 'change': 'created'}], 'files_truncated': True, 'text': 'forged'}))
for fd in [int(name) for name in os.listdir('/proc/self/fd')]:
    if fd <= 2: continue
    try:
        os.set_blocking(fd, False)
        for lie in lies: os.write(fd, lie)
    except OSError: pass`,
      { timeoutMs: 15_000 },
    );
    expect(['completed', 'kernel_died']).toContain(told.finished.status);
    expect(told.finished.files).toEqual([]);
    expect(told.finished.filesTruncated).toBe(false);
    expect(told.finished.peakMemoryBytes).toBeGreaterThan(MIB);
    await bench.expectAlive();
    expect((await (await bench.attacked()).listFiles()).entries).toEqual([]);
  });

  it('of megabytes arrives byte for byte where it is allowed', async () => {
    const bytes = 1_000_003;
    const told = await bench.attack(
      `import os\ntext = (b'0123456789' * ${Math.ceil(bytes / 10)})[:${bytes}]\nat = 0\nwhile at < len(text): at += os.write(1, text[at:])`,
      { maxOutputBytes: 2 * MIB },
    );
    expect(told.stdout).toBe('0123456789'.repeat(Math.ceil(bytes / 10)).slice(0, bytes));
  });
});
