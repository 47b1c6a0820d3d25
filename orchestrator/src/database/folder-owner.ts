/**
 * One server for each DATA_DIR. The owner listens on a Unix socket in the folder: the kernel closes it with
 * the process, however that ends, and it is found from another container that mounts the folder too, where a
 * process number says nothing.
 */
import { rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { withFileLock } from './process-lock.js';

export interface FolderOwner {
  release(): Promise<void>;
}

const SOCKET = 'owner.sock';
const START_TIMEOUT_MS = 30_000;
/** A process that is halted takes connections and says nothing; it is there all the same. */
const ANSWER_TIMEOUT_MS = 2_000;
/** Bytes that the kernel has for the path of a socket. */
const LONGEST_PATH = 100;

/** Who listens there, in words; undefined when nobody does. */
function holderOf(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    let said = '';
    let connected = false;
    const end = (): void => {
      socket.destroy();
      resolve(connected ? said.trim() || 'a process that does not answer' : undefined);
    };
    socket.setTimeout(ANSWER_TIMEOUT_MS, end);
    socket.on('connect', () => (connected = true));
    socket.on('data', (chunk) => (said += chunk.toString()));
    socket.on('end', end);
    socket.on('error', end);
  });
}

function listen(path: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end(`process ${process.pid} on ${hostname()}\n`);
  });
  server.unref();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => resolve(server));
  });
}

/**
 * Called first thing at boot. Rejects with a sentence for the operator while another server has the folder;
 * what a killed one left is taken over at once.
 */
export async function ownFolder(dataDir: string): Promise<FolderOwner> {
  const path = join(dataDir, SOCKET);
  if (Buffer.byteLength(path) > LONGEST_PATH) {
    throw new Error(
      `The path of DATA_DIR is too long: ${path} has more than ${LONGEST_PATH} bytes, which is all that a socket's path may have. Choose a shorter one.`,
    );
  }
  const server = await withFileLock(join(dataDir, 'owner.lock'), START_TIMEOUT_MS, async () => {
    const holder = await holderOf(path);
    if (holder !== undefined) {
      throw new Error(
        `Another server already uses the folder ${dataDir}: ${holder}. One server runs on a DATA_DIR: stop that one, or give this one a DATA_DIR of its own.`,
      );
    }
    await rm(path, { force: true });
    return listen(path);
  });
  return { release: () => new Promise((resolve) => server.close(() => resolve())) };
}
