import { describe, expect, it } from 'vitest';
import { SandboxRemoval } from '../../../orchestrator/src/sandboxes/docker/sandbox-removal.js';
import { SandboxError } from '../../../orchestrator/src/sandboxes/sandbox.driver.js';

const NAME = 'sandbox-1-a';

/** An engine that is away until told otherwise, and knows no container. */
function removal(): { readonly removal: SandboxRemoval; away: boolean; readonly folders: string[] } {
  const world = { away: true, folders: [NAME] };
  const engine = {
    inspect: () =>
      Promise.reject(new SandboxError(world.away ? 'engine_unavailable' : 'gone', 'no such container')),
    remove: () => Promise.resolve(),
    waitForEnd: () => Promise.resolve(),
  };
  const channels = {
    removeOrigin: () => Promise.resolve(),
    remove: (name: string) => Promise.resolve(void world.folders.splice(world.folders.indexOf(name), 1)),
  };
  return Object.assign(world, { removal: new SandboxRemoval(engine, channels, { warn: () => undefined }) });
}

describe('a sandbox that is taken away', () => {
  it('is owed while the engine is away, and until it is gone', async () => {
    const world = removal();
    expect(world.removal.isOwed(NAME)).toBe(false);
    await expect(world.removal.remove(NAME)).rejects.toMatchObject({ code: 'engine_unavailable' });
    expect(world.removal.isOwed(NAME)).toBe(true);
    expect(world.folders).toEqual([NAME]);
    world.away = false;
    await world.removal.remove(NAME);
    expect(world.removal.isOwed(NAME)).toBe(false);
    expect(world.folders).toEqual([]);
  });
});
