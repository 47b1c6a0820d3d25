import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ChannelDir } from '../../../orchestrator/src/sandboxes/docker/channel-dir.js';

describe('host folders of sandboxes', () => {
  let root = '';
  let channels: ChannelDir;
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'channels-'));
    channels = new ChannelDir(join(root, 'new'), 'sandbox-aa-');
  });
  afterAll(() => rmSync(root, { recursive: true }));

  it('are made for their owner only', async () => {
    const folders = await channels.create('sandbox-aa-1');
    expect(statSync(folders.channel).mode & 0o777).toBe(0o700);
    expect(statSync(join(root, 'new')).mode & 0o777).toBe(0o700);
  });

  it('are made once', async () => {
    await expect(channels.create('sandbox-aa-1')).rejects.toThrow('EEXIST');
  });

  it('are listed, without those of another installation', async () => {
    mkdirSync(join(root, 'new', 'sandbox-bb-1'));
    writeFileSync(join(root, 'new', 'sandbox-aa-file'), '');
    expect((await channels.list()).map(({ name }) => name)).toEqual(['sandbox-aa-1']);
  });

  it('are removed with all that is in them, following no link', async () => {
    const outside = join(root, 'outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'kept'), 'kept');
    symlinkSync(outside, join(channels.folders('sandbox-aa-1').channel, 'link'));
    await channels.remove('sandbox-aa-1');
    await channels.remove('sandbox-aa-1');
    expect(existsSync(join(root, 'new', 'sandbox-aa-1'))).toBe(false);
    expect(existsSync(join(outside, 'kept'))).toBe(true);
  });

  it.each(['sandbox-bb-1', '../sandbox-aa-1', 'sandbox-aa-/../x', 'sandbox-aa-..', ''])(
    'refuse the name %j',
    async (name) => {
      await expect(channels.remove(name)).rejects.toThrow('not the name of a sandbox');
    },
  );

  it('must lie at an absolute path', () => {
    expect(() => new ChannelDir('data', 'x-')).toThrow('absolute');
  });

  it('are none where the root does not exist yet', async () => {
    expect(await new ChannelDir(join(root, 'never'), 'x-').list()).toEqual([]);
  });
});
