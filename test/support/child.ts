/** What every server that tests start as a child process needs. */
import { createServer } from 'node:net';

/** For `node --import`: the child ends when the process that started it is gone, however that ended. */
export const END_WITH_PARENT = `data:text/javascript,${encodeURIComponent(
  "process.channel.unref(); process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'));",
)}`;

/** A port of the loopback that nobody listens on now. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((done) => void probe.listen(0, '127.0.0.1', done));
  const address = probe.address();
  await new Promise((done) => void probe.close(done));
  if (address === null || typeof address === 'string') throw new Error('there is no free port');
  return address.port;
}

/** Below the ports that the kernel hands out by itself. */
const RESERVED = { from: 20_000, count: 10_000 };

/** A free port of the loopback that stays free: no connection and no `listen(0)` is given it. */
export async function reservedPort(): Promise<number> {
  for (;;) {
    const port = RESERVED.from + Math.floor(Math.random() * RESERVED.count);
    const probe = createServer();
    const free = await new Promise<boolean>((done) => {
      probe.once('error', () => done(false));
      probe.listen(port, '127.0.0.1', () => done(true));
    });
    if (free) await new Promise((done) => void probe.close(done));
    if (free) return port;
  }
}
