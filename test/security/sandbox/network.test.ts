/** There is no way out: no packet, no name, no metadata service. */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { describe, expect, it } from 'vitest';
import { engineIsSkipped } from '../../fakes/sandboxes/real-engine.js';
import { AttackBench, ORIGINS } from './attack-bench.js';

const REACH = `
def reach(family, kind, address):
    begin = time.monotonic()
    try:
        with socket.socket(family, kind) as s:
            s.settimeout(5)
            if kind == socket.SOCK_STREAM: s.connect(address)
            else:
                s.sendto(b'x' * 32, address)
                s.recv(1)
        result = 'reached'
    except OSError as error: result = errno.errorcode.get(error.errno, type(error).__name__)
    return [result, time.monotonic() - begin]
`;
type Reached = Record<string, [string, number]>;

function expectUnreachable(seen: Reached): void {
  expect(Object.keys(seen).length).toBeGreaterThan(0);
  for (const [where, [result, seconds]] of Object.entries(seen)) {
    expect([where, result]).toEqual([
      where,
      expect.stringMatching(
        /^(ENETUNREACH|EHOSTUNREACH|ECONNREFUSED|EADDRNOTAVAIL|EPERM|EACCES|EAFNOSUPPORT|EPROTONOSUPPORT|EINVAL)$/,
      ),
    ]);
    expect(seconds).toBeLessThan(1);
  }
}

describe.skipIf(engineIsSkipped).each(ORIGINS)('the network of a sandbox made from %s', (origin) => {
  const bench = new AttackBench(`network-${origin}`, origin);

  it('has nothing but loopback', async () => {
    expect(await bench.ask<string[]>('answer([name for _, name in socket.if_nameindex()])')).toEqual(['lo']);
  });

  it('lets nothing out, and says so at once', async () => {
    expectUnreachable(
      await bench.ask<Reached>(`${REACH}
answer({
    'tcp': reach(socket.AF_INET, socket.SOCK_STREAM, ('1.1.1.1', 443)),
    'udp': reach(socket.AF_INET, socket.SOCK_DGRAM, ('8.8.8.8', 53)),
    'tcp6': reach(socket.AF_INET6, socket.SOCK_STREAM, ('2606:4700::1111', 443)),
    'udp6': reach(socket.AF_INET6, socket.SOCK_DGRAM, ('2606:4700::1111', 53)),
    'broadcast': reach(socket.AF_INET, socket.SOCK_DGRAM, ('255.255.255.255', 9)),
    'multicast': reach(socket.AF_INET, socket.SOCK_DGRAM, ('224.0.0.251', 5353)),
})`),
    );
  });

  it('cannot be used below sockets', async () => {
    const seen = await bench.ask<Record<string, string | null>>(`
answer({
    'icmp': outcome(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
    'packet': outcome(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    'ping': outcome(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1).sendto(b'x' * 8, ('1.1.1.1', 0))),
})`);
    for (const result of Object.values(seen)) expect(result).toMatch(/^E/);
  });

  it('has no metadata service', async () => {
    expectUnreachable(
      await bench.ask<Reached>(`${REACH}
answer({address: reach(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_STREAM, (address, 80)) for address in
    ['169.254.169.254', '169.254.170.2', 'fd00:ec2::254', '100.100.100.200', '168.63.129.16', '192.0.0.192']})`),
    );
  });

  it('reaches neither this host nor its networks', async () => {
    const own = Object.values(networkInterfaces()).flatMap((all) =>
      (all ?? []).map(({ address }) => address.split('%')[0] ?? ''),
    );
    const others = ['172.17.0.1', '10.0.0.1', '192.168.0.1', '192.168.65.2', ...own].filter(
      (a) => !a.startsWith('127.') && a !== '::1',
    );
    expectUnreachable(
      await bench.ask<Reached>(`${REACH}
answer({address: reach(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_STREAM, (address, 22)) for address in ${JSON.stringify(others)}})`),
    );
  });

  it('resolves no name, so none carries data out', async () => {
    const seen = await bench.ask<Record<string, [string, number]>>(`${REACH}
def resolve(name):
    begin = time.monotonic()
    try: result = str(socket.getaddrinfo(name, 443))
    except OSError as error: result = 'unresolved'
    return [result, time.monotonic() - begin]
servers = [line.split()[1] for line in open('/etc/resolv.conf') if line.startswith('nameserver')]
answer({
    **{name: resolve(name) for name in ['secret-data.example.com', 'metadata.google.internal', 'host.docker.internal']},
    **{'udp ' + server: reach(socket.AF_INET, socket.SOCK_DGRAM, (server, 53)) for server in servers},
    **{'tcp ' + server: reach(socket.AF_INET, socket.SOCK_STREAM, (server, 53)) for server in servers},
})`);
    for (const [what, [result, seconds]] of Object.entries(seen)) {
      expect([what, result]).toEqual([what, expect.stringMatching(/^(unresolved|E[A-Z]+)$/)]);
      expect(seconds).toBeLessThan(10);
    }
  });

  it('of the sandbox, as the host sees it, has not moved a packet', async () => {
    const { id } = await bench.attacked();
    const name = bench.here.containerName(id);
    const [pid, networks] = bench.here
      .docker('inspect', '-f', '{{.State.Pid}} {{json .NetworkSettings.Networks}}', name)
      .trim()
      .split(/ (.*)/s);
    expect(
      Object.keys(JSON.parse(networks ?? '{}') as object).filter((network) => network !== 'none'),
    ).toEqual([]);
    const interfaces = readFileSync(`/proc/${pid}/net/dev`, 'utf8').trim().split('\n').slice(2);
    for (const line of interfaces) {
      const [device, ...counters] = line.trim().split(/[:\s]+/);
      expect([device, counters[1], counters[9]]).toEqual([device, '0', '0']);
    }
    expect(
      interfaces.filter(
        (line) => !/^\s*(lo|sit0|tunl0|ip6tnl0|gre0|gretap0|erspan0|ip_vti0|ip6_vti0|ip6gre0)[:@]/.test(line),
      ),
    ).toEqual([]);
  });
});
