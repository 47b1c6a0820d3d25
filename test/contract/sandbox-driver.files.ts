/** The contract of the file methods. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { codeOf, collect, readAll, readText, run, source } from './sandbox-driver.helpers.js';
import type { ReadOptions } from '../../orchestrator/src/sandboxes/sandbox.driver.js';
import type { Bench } from './sandbox-driver.suite.js';

export function fileContract(bench: Bench): void {
  transferContract(bench);
  refusalContract(bench);
  boundContract(bench);
  batchContract(bench);
}

function batchContract({ shared, driver, fresh }: Bench): void {
  /** What became of each, `content` read. */
  async function fetchAll(paths: readonly string[], options: ReadOptions = {}): Promise<string[]> {
    const told: string[] = [];
    for await (const file of shared().getFiles(paths, options)) {
      expect(file.path).toBe(paths[told.length]);
      if ('error' in file) told.push(file.error.code);
      else told.push(`${file.entry.bytes} ${(await readAll(file.content)).toString()}`);
    }
    return told;
  }

  describe('many files', () => {
    it('go in and come out in order, and one that is refused stops no other', async () => {
      const names = ['m1', 'm2/in', '../up', 'm3', ''];
      const stored = await collect(
        shared().putFiles(names.map((name) => ({ path: `/mnt/data/${name}`, content: source(name) }))),
      );
      expect(stored.map((file) => ('entry' in file ? file.entry.bytes : codeIn(file.error)))).toEqual([
        2,
        5,
        'invalid_path',
        2,
        'invalid_path',
      ]);
      const paths = ['m3', 'absent', 'm2/in', 'm2', 'm1'].map((name) => `/mnt/data/${name}`);
      expect(await fetchAll(paths)).toEqual(['2 m3', 'not_found', '5 m2/in', 'not_a_file', '2 m1']);
      for (const name of ['m1', 'm2/in', 'm3']) await shared().removeFile(`/mnt/data/${name}`);
    });

    it('go on when the source of one fails', async () => {
      const broken = Readable.from(
        (async function* () {
          yield Buffer.alloc(100_000);
          await sleep(10);
          throw new Error('the sender left');
        })(),
      );
      const files = [
        { path: '/mnt/data/half', content: broken },
        { path: '/mnt/data/whole', content: source('whole') },
      ];
      const [half, whole] = await collect(shared().putFiles(files));
      expect(half).toMatchObject({ path: '/mnt/data/half', error: { message: 'the sender left' } });
      expect(whole).toMatchObject({ entry: { bytes: 5 } });
      await expect
        .poll(async () => (await shared().listFiles()).entries.map(({ path }) => path))
        .toEqual(['/mnt/data/whole']);
      await shared().removeFile('/mnt/data/whole');
    });

    it('are bounded each, also one alone', async () => {
      await shared().putFile('/mnt/data/large', source('0123456789'));
      await shared().putFile('/mnt/data/small', source('01234'));
      const paths = ['/mnt/data/large', '/mnt/data/small'];
      expect(await fetchAll(paths, { maxBytes: 9 })).toEqual(['too_large', '5 01234']);
      expect(await codeOf(shared().getFile('/mnt/data/large', { maxBytes: 9 }))).toBe('too_large');
      expect((await shared().getFile('/mnt/data/large', { maxBytes: 10 })).bytes).toBe(10);
      for (const path of paths) await shared().removeFile(path);
    });

    it('need not be read to the end, nor all of them', async () => {
      const names = [1, 2, 3].map((n) => `/mnt/data/${n}`);
      for (const name of names) await shared().putFile(name, source(name.repeat(200_000)));
      const firstBytes: string[] = [];
      for await (const file of shared().getFiles(names)) {
        if ('error' in file) throw file.error;
        for await (const chunk of file.content) {
          firstBytes.push((chunk as Buffer).subarray(0, 11).toString());
          break;
        }
      }
      expect(firstBytes).toEqual(names);
      for await (const file of shared().getFiles(names)) {
        if ('content' in file) file.content.destroy();
        break;
      }
      await expect(shared().ping()).resolves.toBeUndefined();
      for (const name of names) await shared().removeFile(name);
    });

    it('end with the sandbox', async () => {
      const sandbox = await fresh();
      await sandbox.putFile('/mnt/data/a', source('a'));
      await driver().destroy(sandbox.id);
      expect(await codeOf(collect(sandbox.getFiles(['/mnt/data/a'])))).toBe('gone');
      const files = [{ path: '/mnt/data/b', content: source('b') }];
      expect(await codeOf(collect(sandbox.putFiles(files)))).toBe('gone');
    });
  });
}

const codeIn = (error: Error): string => ('code' in error ? String(error.code) : error.message);

function transferContract({ harness, shared, driver, fresh }: Bench): void {
  const { dialect } = harness;

  describe('files', () => {
    it('go in, are seen by code, and come out', async () => {
      const entry = await shared().putFile('/mnt/data/in/folder/a.txt', source('hel', 'lo'));
      expect(entry).toMatchObject({ path: '/mnt/data/in/folder/a.txt', bytes: 5 });
      expect(Math.abs(entry.modifiedAtMs - Date.now())).toBeLessThan(60_000);
      const { files } = (await run(shared(), dialect.write('/mnt/data/in/folder/a.txt', 'changed'))).finished;
      expect(files.map(({ path, change }) => [path, change])).toEqual([
        ['/mnt/data/in/folder/a.txt', 'modified'],
      ]);
      const { bytes, content } = await shared().getFile('/mnt/data/in/folder/a.txt');
      expect([bytes, (await readAll(content)).toString()]).toEqual([7, 'changed']);
      await shared().removeFile('/mnt/data/in/folder/a.txt');
    });

    it('carry a stamp that differs when code changed them and set their time back', async () => {
      const path = '/mnt/data/forged';
      const stored = await shared().putFile(path, source('before'));
      expect(stored.stamp).toMatch(/./);
      const listed = async () => (await shared().listFiles()).entries.find((entry) => entry.path === path);
      expect(await listed()).toEqual(stored);
      const { files } = (await run(shared(), dialect.forge(path, 'after!'))).finished;
      expect(files).toMatchObject([{ path, bytes: 6, modifiedAtMs: stored.modifiedAtMs }]);
      expect(files[0]?.stamp).not.toBe(stored.stamp);
      expect((await listed())?.stamp).toBe(files[0]?.stamp);
      await run(shared(), dialect.print('nothing'));
      expect((await listed())?.stamp).toBe(files[0]?.stamp);
      await shared().removeFile(path);
    });

    it('are replaced as a whole', async () => {
      await shared().putFile('/mnt/data/a', source('a long first version'));
      await shared().putFile('/mnt/data/a', source('short'));
      expect(await readText(shared(), '/mnt/data/a')).toBe('short');
      await shared().removeFile('/mnt/data/a');
    });

    it('may be empty', async () => {
      expect(await shared().putFile('/mnt/data/empty', source())).toMatchObject({ bytes: 0 });
      expect(await readText(shared(), '/mnt/data/empty')).toBe('');
      await shared().removeFile('/mnt/data/empty');
    });

    it('keep every byte', async () => {
      const sent = Buffer.from(Uint8Array.from({ length: 3_000_003 }, (_, i) => (i * 7919) >> 5));
      await shared().putFile('/mnt/data/bytes', source(sent.subarray(0, 1), sent.subarray(1)));
      const { bytes, content } = await shared().getFile('/mnt/data/bytes');
      expect(bytes).toBe(sent.length);
      expect((await readAll(content)).equals(sent)).toBe(true);
      await shared().removeFile('/mnt/data/bytes');
    });

    it.each([
      'ünïcödé 🐎.txt',
      '-rf',
      'a\nb\r',
      `"quotes' ;%00`,
      'C:\\x',
      ' spaces ',
      '...',
      'x'.repeat(255),
    ])('may be called %j', async (name) => {
      const path = `/mnt/data/${name}`;
      await shared().putFile(path, source('x'));
      expect((await shared().listFiles()).entries.map((entry) => entry.path)).toContain(path);
      expect(await readText(shared(), path)).toBe('x');
      await shared().removeFile(path);
    });

    it('are listed in the order of their paths', async () => {
      for (const name of ['b', 'a/z', 'a.b', 'é', 'c'])
        await shared().putFile(`/mnt/data/${name}`, source(name));
      const { entries, truncated } = await shared().listFiles();
      expect(truncated).toBe(false);
      expect(entries.map(({ path }) => path.slice('/mnt/data/'.length))).toEqual([
        'a.b',
        'a/z',
        'b',
        'c',
        'é',
      ]);
      for (const { path } of entries) await shared().removeFile(path);
      expect((await shared().listFiles()).entries).toEqual([]);
    });

    it('move while code runs', async () => {
      const running = run(shared(), dialect.sleep(700));
      await shared().putFile('/mnt/data/meanwhile', source('x'));
      expect(await readText(shared(), '/mnt/data/meanwhile')).toBe('x');
      const moved = performance.now();
      await running;
      expect(performance.now() - moved).toBeGreaterThan(50);
      await shared().removeFile('/mnt/data/meanwhile');
    });

    it('move many at a time', async () => {
      const names = Array.from({ length: 30 }, (_, i) => `/mnt/data/many/${i}`);
      await Promise.all(names.map((name) => shared().putFile(name, source(name))));
      const texts = await Promise.all(names.map((name) => readText(shared(), name)));
      expect(texts).toEqual(names);
      await Promise.all(names.map((name) => shared().removeFile(name)));
    });

    it('belong to one sandbox', async () => {
      const other = await fresh();
      await other.putFile('/mnt/data/secret', source('x'));
      expect(await codeOf(shared().getFile('/mnt/data/secret'))).toBe('not_found');
      await driver().destroy(other.id);
    });
  });
}

function refusalContract({ shared }: Bench): void {
  describe('a path', () => {
    it.each([
      'relative',
      '/etc/passwd',
      '/mnt/data',
      '/mnt/data/',
      '/mnt/data/../x',
      '/mnt/data/a/../../x',
      '/mnt/database/x',
      '/mnt/data/a\0b',
      `/mnt/data/${'x'.repeat(256)}`,
      '',
    ])('is refused: %j', async (path) => {
      expect(await codeOf(shared().putFile(path, source('x')))).toBe('invalid_path');
      expect(await codeOf(shared().getFile(path))).toMatch(/^(invalid_path|not_a_file)$/);
      expect(await codeOf(shared().removeFile(path))).toMatch(/^(invalid_path|not_a_file)$/);
    });

    it('without a file is said to have none', async () => {
      expect(await codeOf(shared().getFile('/mnt/data/absent'))).toBe('not_found');
      expect(await codeOf(shared().removeFile('/mnt/data/absent'))).toBe('not_found');
    });

    it('of a folder is no file', async () => {
      await shared().putFile('/mnt/data/folder/x', source('x'));
      expect(await codeOf(shared().getFile('/mnt/data/folder'))).toBe('not_a_file');
      expect(await codeOf(shared().removeFile('/mnt/data/folder'))).toBe('not_a_file');
      expect(await codeOf(shared().putFile('/mnt/data/folder', source('x')))).toBe('not_a_file');
      await shared().removeFile('/mnt/data/folder/x');
    });
  });
}

function boundContract({ harness, shared, driver, fresh }: Bench): void {
  const { dialect, spec } = harness;

  describe('a bound', () => {
    it('stops uploads over the data limit, without a trace', async () => {
      const piece = Buffer.alloc(1_048_576);
      const pieces = Array.from({ length: spec.dataBytes / piece.length + 1 }, () => piece);
      expect(await codeOf(shared().putFile('/mnt/data/large', Readable.from(pieces)))).toBe('no_space');
      expect((await shared().listFiles()).entries).toEqual([]);
      expect(await codeOf(shared().putFile('/mnt/data/small', source('x')))).toBeUndefined();
      await shared().removeFile('/mnt/data/small');
    });

    it('stops code over the data limit', async () => {
      const told = await run(shared(), dialect.fill('/mnt/data/large', spec.dataBytes + 2_097_152));
      expect(told.error?.name).toBe('OSError');
      expect((await shared().listFiles()).entries.every(({ bytes }) => bytes <= spec.dataBytes)).toBe(true);
      await shared()
        .removeFile('/mnt/data/large')
        .catch(() => undefined);
    });

    it('cuts the list at the most files', async () => {
      const sandbox = await fresh();
      const put = (i: number): Promise<unknown> => sandbox.putFile(`/mnt/data/${i}`, source('x'));
      for (let i = 0; i < spec.maxFiles; i += 1) await put(i);
      expect(await codeOf(put(spec.maxFiles))).toBe('no_space');
      expect((await sandbox.listFiles()).entries).toHaveLength(spec.maxFiles);
      await driver().destroy(sandbox.id);
    });
  });

  describe('an upload whose source fails', () => {
    it('leaves nothing, and tells the source’s own error', async () => {
      const broken = Readable.from(
        (async function* () {
          yield Buffer.alloc(100_000);
          await sleep(10);
          throw new Error('the sender left');
        })(),
      );
      await expect(shared().putFile('/mnt/data/half', broken)).rejects.toThrow('the sender left');
      await expect.poll(async () => (await shared().listFiles()).entries).toEqual([]);
    });
  });
}
