/** Code that will not stop, ends itself, attacks its keeper, or leaves something behind. */
import { describe, expect, it } from 'vitest';
import { engineIsSkipped } from '../../fakes/sandboxes/real-engine.js';
import { processesOf } from '../../../orchestrator/src/sandboxes/docker/leftover-processes.js';
import { ATTACK_SPEC, AttackBench } from './attack-bench.js';
import { run } from '../../contract/sandbox-driver.helpers.js';

describe.skipIf(engineIsSkipped)('control', () => {
  const bench = new AttackBench('control');

  it.each([
    ['pure Python', 'while True: pass'],
    ['sleeping', 'import time; time.sleep(1000)'],
    ['waiting for a child', 'import subprocess; subprocess.run(["sleep", "1000"])'],
    ['waiting for a lock', 'import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()'],
  ])('stops what never ends, and keeps variables: %s', async (_, code) => {
    await bench.attack('kept = 7');
    const told = await bench.attack(code, { timeoutMs: 700 });
    expect(told.finished).toMatchObject({ status: 'timed_out', stateLost: false });
    expect(told.notices).toContain('timeout');
    expect((await bench.attack('kept')).result).toBe('7');
  });

  it.each([
    ['ignoring the signal', 'import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass'],
    [
      'catching the interrupt',
      'while True:\n    try:\n        while True: pass\n    except KeyboardInterrupt: pass',
    ],
    [
      'blocking the signal',
      'import signal; signal.pthread_sigmask(signal.SIG_BLOCK, signal.Signals)\nwhile True: pass',
    ],
    ['work in C', '9 ** 9 ** 9 % 7'],
    ['a catastrophic expression', 'import re; re.match(r"(a+)+$", "a" * 40 + "b")'],
    ['stopping itself', 'import os, signal; os.kill(os.getpid(), signal.SIGSTOP)'],
  ])('kills what ignores being stopped: %s', async (_, code) => {
    const beganAt = performance.now();
    const told = await bench.attack(code, { timeoutMs: 700 });
    expect(told.finished.status).toMatch(/^(timed_out|kernel_died)$/);
    expect(performance.now() - beganAt).toBeLessThan(15_000);
    await bench.expectAlive();
  });

  it.each([
    ['os._exit', 'import os; os._exit(0)', 'kernel_died'],
    ['SIGKILL', 'import os; os.kill(os.getpid(), 9)', 'kernel_died'],
    ['SIGKILL to all others', 'import os; os.kill(-1, 9)', 'kernel_died|completed'],
    ['SIGTERM to all', 'import os; os.kill(-1, 15)', 'kernel_died|completed'],
    ['a segmentation fault', 'import ctypes; ctypes.string_at(0)', 'kernel_died'],
    ['abort', 'import os; os.abort()', 'kernel_died'],
    [
      'a stack that overflows',
      'import sys; sys.setrecursionlimit(10**9)\ndef f(): f()\nf()',
      'kernel_died|completed|out_of_memory|timed_out',
    ],
    ['sys.exit', 'import sys; sys.exit(3)', 'completed|kernel_died'],
    ['exit', 'exit()', 'completed|kernel_died'],
    ['quit', 'quit()', 'completed|kernel_died'],
    [
      'exec of another program',
      'import os; os.execv("/bin/sleep", ["sleep", "1000"])',
      'kernel_died|timed_out',
    ],
    [
      '1 TiB of address space',
      'import mmap; m = mmap.mmap(-1, 1 << 40, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)',
      'completed|kernel_died|out_of_memory',
    ],
  ])('names the end of a kernel, and replaces it: %s', async (_, code, statuses) => {
    const told = await bench.attack(code, { timeoutMs: 10_000 });
    expect(told.finished.status).toMatch(new RegExp(`^(${statuses})$`));
    if (told.finished.status === 'kernel_died') expect(told.finished.stateLost).toBe(true);
    await bench.expectAlive();
  });

  it('does not let itself be killed or stopped', async () => {
    const seen = await bench.ask<Record<string, string | null>>(`
import signal
own = os.getpid()
others = [int(p) for p in os.listdir('/proc') if p.isdigit() and int(p) != own]
answer({f'{name} {pid}': outcome(lambda: os.kill(pid, number)) for pid in others
        for name, number in [('KILL', 9), ('STOP', 19), ('TERM', 15), ('INT', 2), ('USR1', 10)]})`);
    expect(Object.keys(seen)).toContain('KILL 1');
    for (const [what, result] of Object.entries(seen))
      expect([what, result]).toEqual([what, expect.stringMatching(/^(EPERM|ESRCH)$/)]);
    await bench.expectAlive();
  });

  it('lets nothing outlive its sandbox', async () => {
    const sandbox = await bench.start(ATTACK_SPEC);
    const engineId = await bench.here.engineId(sandbox.id);
    const told = await run(
      sandbox,
      `import atexit, os, subprocess, threading, time
for _ in range(3): subprocess.Popen(['sleep', '1000'], start_new_session=True)
subprocess.Popen('nohup sleep 1000 >/dev/null 2>&1 &', shell=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True: time.sleep(1)
    os._exit(0)
threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
atexit.register(time.sleep, 1000)`,
    );
    expect(told.finished.status).toBe('completed');
    expect((await run(sandbox, '1 + 1')).result).toBe('2');
    expect(await processesOf(engineId)).not.toEqual([]);
    await bench.driver.destroy(sandbox.id);
    expect(await processesOf(engineId)).toEqual([]);
  });

  it('lets nothing of a killed kernel go on', async () => {
    const told = await bench.attack(
      `import os, signal, subprocess, time
for _ in range(5): subprocess.Popen(['sleep', '1000'], start_new_session=True)
signal.signal(signal.SIGINT, signal.SIG_IGN)
while True: pass`,
      { timeoutMs: 700 },
    );
    expect(told.finished).toMatchObject({ status: 'timed_out', stateLost: true });
    const left = await bench.ask<string[]>(`
answer([open(f'/proc/{pid}/cmdline').read() for pid in os.listdir('/proc') if pid.isdigit() and os.path.exists(f'/proc/{pid}/cmdline')])`);
    expect(left.filter((line) => line.includes('sleep'))).toEqual([]);
  });
});
