/** Which addresses a webhook may be sent to. Pure. */
import ipaddr from 'ipaddr.js';

/** Who is reached: anybody on the internet, this machine, this machine's networks, or nobody we would call. */
export type Reach = 'public' | 'loopback' | 'private' | 'never';

export interface TargetPolicy {
  /** Loopback and private networks may be called. */
  readonly allowPrivate: boolean;
  readonly allowLoopback: boolean;
}

/** Ranges that are not here (link-local with the metadata of clouds, multicast, tunnels, …) are never called. */
const REACH: Readonly<Record<string, Reach>> = {
  unicast: 'public',
  loopback: 'loopback',
  private: 'private',
  uniqueLocal: 'private',
  carrierGradeNat: 'private',
};

/** The last four bytes of a NAT64 address (64:ff9b::/96) are the address that is really reached. */
const NAT64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96');

/** Takes what a resolver returns or a URL holds, IPv4 in IPv6 included; what is no address reaches nobody. */
export function reachOf(text: string): Reach {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  if (!ipaddr.isValid(bare)) return 'never';
  const address = ipaddr.process(bare);
  if (address instanceof ipaddr.IPv6 && address.match(NAT64)) {
    return reachOf(ipaddr.fromByteArray(address.toByteArray().slice(-4)).toString());
  }
  return REACH[address.range()] ?? 'never';
}

export function mayCall(address: string, policy: TargetPolicy): boolean {
  switch (reachOf(address)) {
    case 'public':
      return true;
    case 'loopback':
      return policy.allowLoopback || policy.allowPrivate;
    case 'private':
      return policy.allowPrivate;
    case 'never':
      return false;
  }
}
