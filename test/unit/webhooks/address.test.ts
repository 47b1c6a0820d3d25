import { describe, expect, it } from 'vitest';
import { mayCall, reachOf } from '../../../orchestrator/src/webhooks/target/address.js';
import { policyOf } from '../../../orchestrator/src/webhooks/target/target.service.js';

const PUBLIC = ['8.8.8.8', '1.1.1.1', '172.32.0.1', '2606:4700::1111', '::ffff:8.8.8.8', '64:ff9b::808:808'];
const LOOPBACK = [
  '127.0.0.1',
  '127.1.2.3',
  '::1',
  '[::1]',
  '::ffff:127.0.0.1',
  '::127.0.0.1',
  '64:ff9b::7f00:1',
];
const PRIVATE = [
  '10.0.0.1',
  '172.16.0.1',
  '192.168.1.1',
  '100.64.0.1',
  'fd00::1',
  '::ffff:10.0.0.1',
  '64:ff9b::a00:1',
  '::10.0.0.1',
  '::a00:1',
];
const NEVER = [
  '169.254.169.254',
  '169.254.170.2',
  'fe80::1',
  '::ffff:169.254.169.254',
  '64:ff9b::a9fe:a9fe',
  '::a9fe:a9fe',
  '::169.254.169.254',
  '0:0:0:0:0:0:a9fe:a9fe',
  '2002:a9fe:a9fe::1',
  '2002:a00:1::1',
  '64:ff9b:1::a9fe:a9fe',
  'fe80::1%eth0',
  '0.0.0.0',
  '0.1.2.3',
  '::',
  '224.0.0.1',
  'ff02::1',
  '255.255.255.255',
  '240.0.0.1',
  '198.18.0.1',
  '192.0.2.1',
  '2002:7f00:1::',
  '2001:0:7f00:1::',
  '2001:db8::1',
  'fec0::1',
  '64:ff9b:1::7f00:1',
  '::ffff:0:127.0.0.1',
  'localhost',
  'example.com',
  '',
];

describe('reachOf', () => {
  it.each([
    ['public', PUBLIC],
    ['loopback', LOOPBACK],
    ['private', PRIVATE],
    ['never', NEVER],
  ] as const)('%s', (reach, addresses) => {
    expect(addresses.map((address) => [address, reachOf(address)])).toEqual(
      addresses.map((address) => [address, reach]),
    );
  });
});

describe('mayCall', () => {
  const called = (allowPrivate: boolean, allowLoopback: boolean) =>
    [PUBLIC, LOOPBACK, PRIVATE, NEVER].map((addresses) =>
      addresses.map((address) => mayCall(address, { allowPrivate, allowLoopback })),
    );
  const all = (...answers: boolean[]) =>
    [PUBLIC, LOOPBACK, PRIVATE, NEVER].map((addresses, index) => addresses.map(() => answers[index]));

  it('reaches the internet alone unless the operator says otherwise, and some addresses never', () => {
    expect(called(false, false)).toEqual(all(true, false, false, false));
    expect(called(false, true)).toEqual(all(true, true, false, false));
    expect(called(true, false)).toEqual(all(true, true, true, false));
  });
});

describe('policyOf', () => {
  const loopback = (HOST: string, PUBLIC_URL?: string) =>
    policyOf({ HOST, PUBLIC_URL, WEBHOOK_ALLOW_PRIVATE: false }).allowLoopback;

  it('takes loopback for a caller’s own machine only while all callers are on it', () => {
    expect(['127.0.0.1', '::1', 'localhost'].map((host) => loopback(host))).toEqual([true, true, true]);
    expect(['0.0.0.0', '::', '10.0.0.5'].map((host) => loopback(host))).toEqual([false, false, false]);
    expect(loopback('127.0.0.1', 'https://code.example')).toBe(false);
  });
});
