import { FakeEngine, FakeSandboxDriver } from '../fakes/sandboxes/fake.driver.js';
import { fakeLanguage } from './sandbox-driver.dialect.js';
import { sandboxDriverContract, SPEC } from './sandbox-driver.suite.js';

sandboxDriverContract('the fake driver', () => {
  const engine = new FakeEngine();
  return {
    spec: SPEC,
    dialect: fakeLanguage,
    canSleep: true,
    newDriver: () => new FakeSandboxDriver({ engine }),
    newForeignDriver: () => new FakeSandboxDriver({ engine, installationId: 'another' }),
    killFromOutside: (id) => Promise.resolve(engine.kill(id)),
  };
});
