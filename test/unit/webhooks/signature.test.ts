import { createHmac } from 'node:crypto';
import OpenAI from 'openai';
import OpenAIv6 from 'openai-v6';
import { describe, expect, it } from 'vitest';
import { isGenuine } from '../../../nodes/CodeInterpreterTrigger/signature.js';
import {
  newSigningSecret,
  secretHintOf,
  signedHeaders,
} from '../../../orchestrator/src/webhooks/signing/signature.js';

const BODY = JSON.stringify({
  id: 'evt_1',
  object: 'event',
  type: 'response.completed',
  data: { id: 'resp_ü' },
});
const CLIENTS = [
  ['openai 7', new OpenAI({ apiKey: 'x' })],
  ['openai 6', new OpenAIv6({ apiKey: 'x' }) as unknown as OpenAI],
] as const;
const unwrap = (client: OpenAI, headers: object, secret: string, body = BODY) =>
  client.webhooks.unwrap(body, { ...headers } as Record<string, string>, secret);

describe.each(CLIENTS)('a signature, for %s', (_, client) => {
  const secret = newSigningSecret();
  const headers = signedHeaders([secret], 'wh_1', new Date(), BODY);

  it('is accepted, and only for this body, secret and id', async () => {
    expect(await unwrap(client, headers, secret)).toEqual(JSON.parse(BODY));
    await expect(unwrap(client, headers, secret, `${BODY} `)).rejects.toThrow('signature');
    await expect(unwrap(client, headers, newSigningSecret())).rejects.toThrow('signature');
    await expect(unwrap(client, { ...headers, 'webhook-id': 'wh_2' }, secret)).rejects.toThrow('signature');
  });

  it('is accepted by whoever knows either secret while one is replaced', async () => {
    const next = newSigningSecret();
    const both = signedHeaders([next, secret], 'wh_1', new Date(), BODY);
    expect(await unwrap(client, both, secret)).toEqual(JSON.parse(BODY));
    expect(await unwrap(client, both, next)).toEqual(JSON.parse(BODY));
  });

  it('grows old', async () => {
    const old = signedHeaders([secret], 'wh_1', new Date(Date.now() - 301_000), BODY);
    await expect(unwrap(client, old, secret)).rejects.toThrow('too old');
  });
});

describe('a signature', () => {
  it('is what the standard says', () => {
    const secret = `whsec_${Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')}`;
    expect(signedHeaders([secret], 'wh_1', new Date(1_700_000_000_999), '{}')).toEqual({
      'webhook-id': 'wh_1',
      'webhook-timestamp': '1700000000',
      'webhook-signature': `v1,${createHmac('sha256', '0123456789abcdef0123456789abcdef').update('wh_1.1700000000.{}').digest('base64')}`,
    });
  });

  it('is accepted by the n8n trigger', () => {
    const secret = newSigningSecret();
    const headers = signedHeaders([secret], 'wh_1', new Date(), BODY);
    const delivery = {
      id: headers['webhook-id'],
      timestamp: headers['webhook-timestamp'],
      signature: headers['webhook-signature'],
      body: Buffer.from(BODY),
    };
    expect(isGenuine(secret, delivery)).toBe(true);
    expect(isGenuine(newSigningSecret(), delivery)).toBe(false);
  });
});

describe('a secret', () => {
  it('has 256 bits, and a hint that gives four characters away', () => {
    const secret = newSigningSecret();
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(secretHintOf(secret)).toBe(`whsec_…${secret.slice(-4)}`);
  });
});
