import type { LookupAddress } from 'node:dns';
import { describe, expect, it } from 'vitest';
import { ApiError } from '../../../orchestrator/src/common/api-error.js';
import { parseEnv } from '../../../orchestrator/src/config/env.js';
import { WebhookTargets } from '../../../orchestrator/src/webhooks/target/target.service.js';

const absent = () => Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
const later = () => Object.assign(new Error('ask later'), { code: 'EAI_AGAIN' });

const NAMES: Readonly<Record<string, readonly string[] | (() => Error)>> = {
  'public.example': ['93.184.216.34'],
  'both.example': ['10.0.0.1', '93.184.216.34'],
  'inside.example': ['10.0.0.1', 'fd00::1'],
  'metadata.example': ['169.254.169.254'],
  'absent.example': absent,
  'later.example': later,
};

class Targets extends WebhookTargets {
  protected override async resolve(host: string): Promise<readonly LookupAddress[]> {
    const found = NAMES[host] ?? absent;
    if (typeof found === 'function') throw found();
    return found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  }
}

const closed = new Targets(parseEnv({ HOST: '0.0.0.0' }));
const open = new Targets(parseEnv({ HOST: '0.0.0.0', WEBHOOK_ALLOW_PRIVATE: '1' }));
const local = new Targets(parseEnv({}));

async function codeOf(targets: Targets, url: string): Promise<string> {
  try {
    await targets.check(url, 'url');
    return 'ok';
  } catch (error) {
    return (error as ApiError).code;
  }
}

const codes = (targets: Targets, urls: readonly string[]) =>
  Promise.all(urls.map(async (url) => [url, await codeOf(targets, url)]));
const each = (urls: readonly string[], code: string) => urls.map((url) => [url, code]);

describe('the URL of a webhook', () => {
  it('leads to a public address', async () => {
    const good = ['https://public.example/a?b=c', 'http://both.example:8080', 'https://8.8.8.8/'];
    const bad = [
      'http://inside.example',
      'http://metadata.example',
      'http://absent.example',
      'http://10.1.2.3',
    ];
    expect(await codes(closed, good)).toEqual(each(good, 'ok'));
    expect(await codes(closed, bad)).toEqual(each(bad, 'webhook_url_refused'));
  });

  it('does not get around it by another spelling of an address', async () => {
    const spelled = [
      'http://2130706433/',
      'http://0x7f.1/',
      'http://127.1/',
      'http://[::1]/',
      'http://[::ffff:7f00:1]/',
      'http://169.254.169.254/latest',
      'http://[fd00::1]/',
      'http://0/',
    ];
    expect(await codes(closed, spelled)).toEqual(each(spelled, 'webhook_url_refused'));
  });

  it('is let through while its name cannot be resolved just now', async () => {
    expect(await codeOf(closed, 'http://later.example')).toBe('ok');
  });

  it('may be private if the operator says so, and the metadata of a cloud never', async () => {
    const good = ['http://inside.example', 'http://10.1.2.3', 'http://127.0.0.1:5678/webhook'];
    const bad = ['http://metadata.example', 'http://169.254.169.254/', 'http://0.0.0.0/'];
    expect(await codes(open, good)).toEqual(each(good, 'ok'));
    expect(await codes(open, bad)).toEqual(each(bad, 'webhook_url_refused'));
  });

  it('may be on this machine while the server is for this machine alone', async () => {
    expect(await codes(local, ['http://127.0.0.1:5678/', 'http://10.1.2.3'])).toEqual([
      ['http://127.0.0.1:5678/', 'ok'],
      ['http://10.1.2.3', 'webhook_url_refused'],
    ]);
  });

  it('is a URL of HTTP, without a password, and not endless', async () => {
    const bad = [
      '',
      'x',
      'ftp://public.example',
      'file:///etc/passwd',
      'https://u:p@public.example',
      'https://',
    ];
    expect(await codes(open, bad)).toEqual(each(bad, 'invalid_value'));
    expect(await codeOf(open, `https://public.example/${'x'.repeat(2048)}`)).toBe('string_above_max_length');
  });

  it('says the same of a name inside as of one that is not there', async () => {
    const messageOf = async (url: string) =>
      (await closed.check(url, 'url').catch((error: Error) => error))!.message;
    const [inside, missing] = [
      await messageOf('http://inside.example'),
      await messageOf('http://absent.example'),
    ];
    expect(inside.replace('inside', 'x')).toBe(missing.replace('absent', 'x'));
    expect(inside).toContain('WEBHOOK_ALLOW_PRIVATE');
  });
});

describe('the look-up of a connection', () => {
  const connect = (targets: Targets, host: string, all: boolean) =>
    new Promise<unknown>((done) =>
      targets.lookup(host, { all }, (error, found, family) => done(error?.name ?? [found, family])),
    );

  it('gives only what may be called, in both forms', async () => {
    expect(await connect(closed, 'localhost', true)).toBe('ForbiddenTargetError');
    expect(await connect(closed, 'localhost', false)).toBe('ForbiddenTargetError');
    const [addresses] = (await connect(local, 'localhost', true)) as [LookupAddress[]];
    expect(addresses.every(({ address }) => address === '127.0.0.1' || address === '::1')).toBe(true);
    expect(await connect(local, 'localhost', false)).toEqual([addresses[0]!.address, addresses[0]!.family]);
  });

  it('is not asked for an address, which is looked at by itself', () => {
    expect(() => closed.assertHost('127.0.0.1')).toThrow('127.0.0.1');
    expect(() => closed.assertHost('[::1]')).toThrow('::1');
    expect(() => closed.assertHost('8.8.8.8')).not.toThrow();
    expect(() => closed.assertHost('localhost')).not.toThrow();
  });
});
