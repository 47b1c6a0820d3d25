/** Can this host make one sandbox from another? */
import type { HostFacts } from './host-check.js';

/** Why not, in words with what to do about it; undefined where it can. */
export function inability({ engine, probe }: HostFacts): string | undefined {
  if (probe.isolation !== 'gvisor') return 'the runtime is not gVisor';
  if (!probe.tellsOfCheckpoints)
    return 'this release of gVisor is too old. Run: scripts/engine runsc --again';
  if (!engine.experimental)
    return 'the Docker engine makes no checkpoints. Run it with "experimental": true in its daemon.json';
  return undefined;
}
