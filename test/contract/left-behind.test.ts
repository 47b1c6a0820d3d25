/** What code leaves behind, in real sandboxes: many files, moving ones, sparse ones, and callers who leave. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, type Execution, type Page } from '../support/api.js';
import { useProject } from '../support/project.js';

const project = useProject();
let container = '';
beforeAll(async () => {
  container = await project.api.newContainer({ name: 'left behind' });
});
afterAll(async () => project.api.delete(`/containers/${container}`));

interface File {
  readonly id: string;
  readonly path: string;
  readonly bytes: number;
}

async function files(id: string): Promise<File[]> {
  const all: File[] = [];
  for (let after = ''; ; ) {
    const page = await project.api.ok<Page<File>>(
      'GET',
      `/containers/${id}/files?limit=100&order=asc${after}`,
    );
    all.push(...page.data);
    if (!page.has_more) return all;
    after = `&after=${page.last_id!}`;
  }
}

const notices = (execution: Execution) =>
  execution.outputs.filter(({ type }) => type === 'notice').map(({ code }) => code);

describe('what code left', () => {
  it('is stored to the last of 5,000 files', async () => {
    const id = await project.api.newContainer();
    const made = await project.api.run(
      id,
      "import os\nos.makedirs('/mnt/data/images/batch-of-monday', exist_ok=True)\n" +
        "for i in range(5000):\n    with open(f'/mnt/data/images/batch-of-monday/photograph-{i:05}.txt', 'w') as f: f.write(str(i))",
    );
    expect(made.status).toBe('completed');
    expect(notices(made)).toEqual([]);
    expect(made.files).toHaveLength(5000);
    const stored = await files(id);
    expect(stored).toHaveLength(5000);
    const last = stored.find(({ path }) => path.endsWith('-04999.txt'))!;
    expect((await project.api.get(`/containers/${id}/files/${last.id}/content`)).text).toBe('4999');
    await project.api.delete(`/containers/${id}`);
  });

  it('is stored although a process that goes on cuts, grows, swaps and removes its files', async () => {
    const id = await project.api.newContainer();
    const restless = `
import subprocess, sys
for i in range(40):
    open(f'/mnt/data/steady-{i}.csv', 'w').write('1' * 20000)
subprocess.Popen([sys.executable, '-c', '''
import os, time
end = time.time() + 20
while time.time() < end:
    for size in (3_000_000, 10, 2_000_000):
        with open('/mnt/data/restless.log', 'wb') as f: f.truncate(size)
        with open('/mnt/data/steady-log.txt', 'ab') as f: f.write(b'x' * 1000)
    try:
        os.unlink('/mnt/data/swapped.txt')
    except OSError: pass
    os.symlink('/etc/passwd', '/mnt/data/swapped.txt')
    os.unlink('/mnt/data/swapped.txt')
    open('/mnt/data/swapped.txt', 'w').write('plain')
'''])`;
    const first = await project.api.run(id, restless);
    expect(first.status).toBe('completed');
    for (let round = 0; round < 5; round += 1) {
      const next = await project.api.run(
        id,
        `open('/mnt/data/round-${round}.csv', 'w').write('${round}')\nprint('ok')`,
      );
      expect(next.status).toBe('completed');
      for (const code of notices(next)) expect(['files_not_stored', 'processes_left']).toContain(code);
    }
    const stored = (await files(id)).map(({ path }) => path);
    for (let index = 0; index < 40; index += 1) expect(stored).toContain(`/mnt/data/steady-${index}.csv`);
    for (let round = 0; round < 5; round += 1) expect(stored).toContain(`/mnt/data/round-${round}.csv`);
    const swapped = (await files(id)).find(({ path }) => path.endsWith('swapped.txt'));
    if (swapped) {
      const content = await project.api.get(`/containers/${id}/files/${swapped.id}/content`);
      expect(content.text).not.toContain('root:');
    }
    await project.api.delete(`/containers/${id}`);
  });

  it('costs what it holds when it is sparse, and is no more than the disk of a container', async () => {
    const id = await project.api.newContainer();
    const made = await project.api.run(
      id,
      "for name in ('first', 'second', 'third'):\n" +
        "    with open(f'/mnt/data/{name}.npy', 'wb') as f: f.truncate(1_200_000_000); f.seek(0, 2); f.write(name.encode())",
      { timeout_ms: 60_000 },
    );
    expect(made.status).toBe('completed');
    expect(made.files.map(({ path }) => path)).toEqual(['/mnt/data/first.npy']);
    expect(notices(made)).toEqual(['files_not_stored']);
    const next = await project.api.run(id, "import os; print(os.path.getsize('/mnt/data/third.npy'))");
    expect(next.outputs[0]).toEqual({ type: 'stdout', text: '1200000005\n' });
    await project.api.delete(`/containers/${id}`);
  });

  it('costs one copy of what has many names', async () => {
    const id = await project.api.newContainer();
    const made = await project.api.run(
      id,
      "import os\nopen('/mnt/data/base.bin', 'wb').write(b'1' * 1000)\n" +
        "for i in range(1000): os.link('/mnt/data/base.bin', f'/mnt/data/link-{i}.bin')",
    );
    expect(made.status).toBe('completed');
    expect(made.files).toHaveLength(1001);
    expect(await files(id)).toHaveLength(1001);
    await project.api.delete(`/containers/${id}`);
  });

  it.each([1, 40, 400])('is stored when the caller leaves a stream after %i bytes', async (bytes) => {
    const id = await project.api.newContainer();
    const leave = new AbortController();
    const reply = await fetch(`${project.api.url}/containers/${id}/executions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${project.api.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        code: "open('/mnt/data/early.csv', 'w').write('1')\nimport time\nfor i in range(2000):\n    print('line', i, flush=True); time.sleep(0.05)",
        stream: true,
      }),
      signal: leave.signal,
    });
    let seen = 0;
    const reader = reply.body!.getReader();
    while (seen < bytes) seen += (await reader.read()).value?.length ?? bytes;
    // The file is written before the first line is printed.
    await eventually(
      async () => (await project.api.ok<Page<Execution>>('GET', `/containers/${id}/executions`)).data[0],
      (execution) => execution?.status === 'running',
    );
    while (bytes > 1 && !new TextDecoder().decode((await reader.read()).value).includes('line'));
    leave.abort();
    const ended = await eventually(
      async () => (await project.api.ok<Page<Execution>>('GET', `/containers/${id}/executions`)).data[0],
      (execution) => execution !== undefined && !['queued', 'running'].includes(execution.status),
      30_000,
    );
    expect(ended!.status).toBe('interrupted');
    if (bytes > 1) expect((await files(id)).map(({ path }) => path)).toEqual(['/mnt/data/early.csv']);
    await project.api.delete(`/containers/${id}`);
  });
});

describe('a figure', () => {
  it('is kept beside files that filled the disk', async () => {
    const id = await project.api.newContainer();
    const made = await project.api.run(
      id,
      "import matplotlib.pyplot as plt\nopen('/mnt/data/table.csv', 'w').write('1')\n" +
        "f = open('/mnt/data/full.bin', 'wb')\ntry:\n    while True: f.write(b'\\0\\1' * 500_000)\nexcept OSError as error: print(error.strerror)\n" +
        'plt.plot([1, 2]); plt.show()',
      { timeout_ms: 100_000 },
    );
    expect(made.status).toBe('completed');
    const image = made.outputs.find(({ type }) => type === 'image');
    expect(image).toBeDefined();
    expect(notices(made)).toContain('image_not_in_container');
    const stored = await files(id);
    expect(stored.map(({ path }) => path)).toContain('/mnt/data/table.csv');
    const content = await project.api.get(`/containers/${id}/files/${image!.file_id!}/content`);
    expect(content.status).toBe(200);
    await project.api.delete(`/containers/${id}`);
  }, 240_000);
});
