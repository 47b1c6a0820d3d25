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

/**
 * The last four bytes of such an address are the IPv4 address that is really reached: NAT64, and the old
 * "IPv4-compatible" form, in which `::a9fe:a9fe` is 169.254.169.254.
 */
const HOLD_IPV4 = [ipaddr.IPv6.parseCIDR('64:ff9b::/96'), ipaddr.IPv6.parseCIDR('::/96')];
/** Of `::/96`, and none of IPv4: `::` and `::1`. */
const OWN_RANGES: ReadonlySet<string> = new Set(['unspecified', 'loopback']);

/** Takes what a resolver returns or a URL holds, IPv4 in IPv6 included; what is no address reaches nobody. */
export function reachOf(text: string): Reach {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  if (!ipaddr.isValid(bare)) return 'never';
  const address = ipaddr.process(bare);
  const range = address.range();
  if (
    address instanceof ipaddr.IPv6 &&
    !OWN_RANGES.has(range) &&
    HOLD_IPV4.some((block) => address.match(block))
  )
    return reachOf(ipaddr.fromByteArray(address.toByteArray().slice(-4)).toString());
  return REACH[range] ?? 'never';
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
