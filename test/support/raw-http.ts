/** HTTP by hand, for clients that do what no library does. */
import { connect, type Socket } from 'node:net';

export interface RawReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The first reply in a text; the body is all that follows its head. */
export function parseReply(text: string): RawReply {
  const end = text.indexOf('\r\n\r\n');
  const [first = '', ...lines] = text.slice(0, end < 0 ? undefined : end).split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  return { status: Number(first.split(' ')[1] ?? 0), headers, body: end < 0 ? '' : text.slice(end + 4) };
}

export class RawConnection {
  text = '';
  private waiters: (() => void)[] = [];
  private over = false;

  private constructor(readonly socket: Socket) {
    socket.setEncoding('latin1');
    const wake = () => {
      for (const waiter of this.waiters.splice(0)) waiter();
    };
    socket.on('data', (chunk: string) => {
      this.text += chunk;
      wake();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.over = true;
      wake();
    });
  }

  static open(origin: string): Promise<RawConnection> {
    const { hostname, port } = new URL(origin);
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname);
      socket.once('error', reject);
      socket.once('connect', () => resolve(new RawConnection(socket)));
    });
  }

  /** Opens one, sends the text, and returns all that came until the server closed. */
  static async exchange(origin: string, text: string): Promise<string> {
    const connection = await RawConnection.open(origin);
    connection.send(text);
    await connection.untilClosed();
    return connection.text;
  }

  get isClosed(): boolean {
    return this.over;
  }

  /** False when the client's own buffer is full. */
  send(data: string | Uint8Array): boolean {
    return this.over ? false : this.socket.write(data);
  }

  async until(isThere: (text: string) => boolean, timeoutMs = 60_000): Promise<string> {
    const deadline = Date.now() + timeoutMs;
    while (!isThere(this.text)) {
      if (this.over) throw new Error(`the connection was closed after: ${this.text.slice(0, 500)}`);
      await this.change(deadline);
    }
    return this.text;
  }

  async untilClosed(timeoutMs = 60_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!this.over) await this.change(deadline);
  }

  close(): void {
    this.socket.destroy();
  }

  private change(deadline: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`nothing more came after: ${this.text.slice(0, 500)}`)),
        Math.max(1, deadline - Date.now()),
      );
      this.waiters.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

/** The head of a request, with a key if there is one. */
export function head(
  first: string,
  headers: Readonly<Record<string, string | number>>,
  key?: string,
): string {
  const all = {
    host: 'localhost',
    ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return `${first}\r\n${lines.join('\r\n')}\r\n\r\n`;
}
