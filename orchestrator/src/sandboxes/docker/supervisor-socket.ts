/**
 * The Unix socket that a sandbox's supervisor binds in the sandbox's own host folder.
 */
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { SandboxError } from '../sandbox.driver.js';

export const SOCKET_NAME = 'supervisor.sock';

/** Linux' O_PATH, which Node does not name: a handle on the inode that opens nothing. */
const O_PATH = 0o10000000;

/** Thrown while the supervisor has not bound or does not listen yet; worth another try. */
export class NotListeningYet extends Error {
  override readonly name = 'NotListeningYet';

  /** `hasSocket`: the file is there, and refuses. */
  constructor(
    message: string,
    readonly hasSocket: boolean,
  ) {
    super(message);
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/**
 * A hold on the socket's inode. Connections go through `/proc/self/fd`, which
 * - has no 107 byte limit, however deep the host folder lies;
 * - follows no symbolic link that a guest could have left in the folder;
 * - never reaches a socket that was put in the place of the first one.
 */
export class SupervisorSocket {
  private readonly handle: FileHandle;

  private constructor(handle: FileHandle) {
    this.handle = handle;
  }

  /** `directory` is the host folder. Throws {@link NotListeningYet} until the socket exists. */
  static async open(directory: string): Promise<SupervisorSocket> {
    let handle: FileHandle;
    try {
      handle = await open(`${directory}/${SOCKET_NAME}`, O_PATH | constants.O_NOFOLLOW);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') throw new NotListeningYet('no socket yet', false);
      throw new SandboxError('gone', 'the channel of the sandbox cannot be opened', { cause: error });
    }
    const status = await handle.stat();
    if (!status.isSocket()) {
      await handle.close();
      throw new SandboxError('protocol', 'the supervisor’s socket path is not a socket');
    }
    return new SupervisorSocket(handle);
  }

  /**
   * Throws {@link NotListeningYet} when refused, `gone` otherwise. The caller owns the connection;
   * its later errors need no listener, `close` follows each of them.
   */
  async connect(): Promise<Socket> {
    const socket = createConnection({ path: `/proc/self/fd/${this.handle.fd}` });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    }).catch((error: unknown) => {
      socket.destroy();
      if (codeOf(error) === 'ECONNREFUSED') throw new NotListeningYet('the supervisor does not listen', true);
      throw new SandboxError('gone', 'the supervisor of the sandbox does not answer', { cause: error });
    });
    socket.on('error', () => undefined);
    return socket;
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}
