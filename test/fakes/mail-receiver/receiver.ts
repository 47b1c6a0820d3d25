/** A mail server for tests: takes every mail over SMTP on loopback, after a log-in, and keeps it. */
import { type AddressInfo } from 'node:net';
import { type ParsedMail, simpleParser } from 'mailparser';
import { SMTPServer, type SMTPServerDataStream } from 'smtp-server';

export class MailReceiver {
  readonly user = 'reports@example.com';
  readonly password = 'mail-for-tests';
  /** Oldest first. */
  readonly mails: ParsedMail[] = [];
  private readonly server = new SMTPServer({
    authOptional: false,
    // Without a certificate; it listens on loopback only.
    disabledCommands: ['STARTTLS'],
    allowInsecureAuth: true,
    onAuth: ({ username, password }, _, done) => {
      if (username === this.user && password === this.password) done(null, { user: username });
      else done(new Error('wrong user or password'));
    },
    onData: (stream, _, done) => {
      this.keep(stream).then(() => done(), done);
    },
  });

  get port(): number {
    return (this.server.server.address() as AddressInfo).port;
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(0, '127.0.0.1', resolve);
    });
    // Clients that break off are no matter of the test.
    this.server.on('error', () => undefined);
    return this;
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => this.server.close(resolve));
  }

  private async keep(stream: SMTPServerDataStream): Promise<void> {
    this.mails.push(await simpleParser(stream));
  }
}
