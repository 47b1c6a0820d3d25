import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TemplateStore } from '../../../orchestrator/src/sandboxes/docker/template-store.js';

const HOUR = 3_600_000;

describe('the store of templates', () => {
  let folder: string;
  let root: string;
  let store: TemplateStore;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'templates-'));
    root = join(folder, 'kept');
    store = new TemplateStore(root);
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function image(pages = 'pages'): Promise<string> {
    const path = join(folder, 'image');
    await mkdir(path);
    await writeFile(join(path, 'checkpoint.img'), 'state');
    await writeFile(join(path, 'pages.img'), pages);
    return path;
  }

  it('finds what it has kept, and nothing else', async () => {
    expect(await store.find('one')).toBeUndefined();
    const kept = await store.keep('one', await image());
    const pagesId = createHash('sha256').update('pages').digest('hex');
    expect(kept).toEqual({ folder: join(root, 'one'), pagesId });
    expect(await store.find('one')).toEqual(kept);
    expect(await store.find('two')).toBeUndefined();
    expect((await readdir(kept.folder)).toSorted()).toEqual(['checkpoint.img', 'pages.img', 'template.json']);
    expect(await readdir(folder)).toEqual(['kept']);
  });

  it('keeps the first of two that servers have made at once, since it may be in use', async () => {
    const first = await store.keep('one', await image('first'));
    expect(await store.keep('one', await image('second'))).toEqual(first);
    expect(await readdir(root)).toEqual(['one']);
    expect(await readFile(join(root, 'one', 'pages.img'), 'utf8')).toBe('first');
    await store.drop('one');
    await store.keep('one', await image('second'));
    expect(await readFile(join(root, 'one', 'pages.img'), 'utf8')).toBe('second');
  });

  it('leaves one alone that is not whole, and says so', async () => {
    await truncate(join((await store.keep('one', await image())).folder, 'pages.img'), 2);
    await expect(store.keep('one', await image())).rejects.toThrow('ENOTEMPTY');
  });

  it('refuses what is no image', async () => {
    const empty = join(folder, 'empty');
    await mkdir(empty);
    await expect(store.keep('one', empty)).rejects.toThrow('no image');
    await expect(store.keep('one', join(folder, 'nowhere'))).rejects.toThrow();
    expect(await store.find('one')).toBeUndefined();
  });

  it('does not take for whole what was cut off or lacks a file', async () => {
    const { folder: kept } = await store.keep('one', await image());
    await truncate(join(kept, 'pages.img'), 2);
    expect(await store.find('one')).toBeUndefined();
    const { folder: other } = await store.keep('two', await image());
    await rm(join(other, 'pages.img'));
    expect(await store.find('two')).toBeUndefined();
    await writeFile(join((await store.keep('three', await image())).folder, 'template.json'), '{');
    expect(await store.find('three')).toBeUndefined();
  });

  it('sweeps away what was not used for a day, but for the three that were used last', async () => {
    for (const [index, key] of ['a', 'b', 'c', 'd', 'e'].entries()) {
      const { folder: path } = await store.keep(key, await image());
      const used = new Date(Date.now() - (key === 'c' ? 20 : 50 - index) * HOUR);
      await utimes(path, used, used);
    }
    await store.find('a');
    await store.sweep();
    expect((await readdir(root)).toSorted()).toEqual(['a', 'c', 'e']);
    for (const key of ['f', 'g', 'h']) await store.keep(key, await image());
    await store.sweep();
    // One of a server that has been used today stays, however many are newer.
    expect((await readdir(root)).toSorted()).toEqual(['a', 'c', 'f', 'g', 'h']);
  });

  it('sweeps away what a dead server has not finished, not what a living one is at', async () => {
    await store.keep('one', await image());
    for (const name of ['one.1.unfinished', 'two.2.unfinished']) await mkdir(join(root, name));
    const old = new Date(Date.now() - 2 * HOUR);
    await utimes(join(root, 'one.1.unfinished'), old, old);
    await store.sweep();
    expect((await readdir(root)).toSorted()).toEqual(['one', 'two.2.unfinished']);
  });
});
