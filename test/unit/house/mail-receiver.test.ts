import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MailReceiver } from '../../fakes/mail-receiver/receiver.js';

const MAIL = [
  'From: reports@example.com',
  'To: team@example.com',
  'Subject: Strikes',
  'MIME-Version: 1.0',
  'Content-Type: multipart/mixed; boundary=cut',
  '',
  '--cut',
  'Content-Type: text/plain',
  '',
  'See below.',
  '--cut',
  'Content-Type: text/csv',
  'Content-Disposition: attachment; filename="strikes.csv"',
  'Content-Transfer-Encoding: base64',
  '',
  Buffer.from('a,b\n1,2\n').toString('base64'),
  '--cut--',
  '.',
].join('\r\n');

describe('the mail receiver of tests', () => {
  let receiver: MailReceiver;
  beforeEach(async () => {
    receiver = await new MailReceiver().start();
  });
  afterEach(() => receiver.stop());

  /** The codes that the server answers with, the greeting first. */
  async function talk(...lines: readonly string[]): Promise<readonly number[]> {
    const socket = connect(receiver.port, '127.0.0.1').setEncoding('utf8');
    const codes: number[] = [];
    for (const line of [undefined, ...lines]) {
      if (line !== undefined) socket.write(`${line}\r\n`);
      let told = '';
      do [told] = (await once(socket, 'data')) as [string];
      while (!/^\d{3} .*\r\n$/m.test(told));
      codes.push(Number(told.slice(0, 3)));
    }
    socket.destroy();
    return codes;
  }
  const login = (password: string) =>
    `AUTH PLAIN ${Buffer.from(`\0${receiver.user}\0${password}`).toString('base64')}`;
  const ENVELOPE = ['MAIL FROM:<reports@example.com>', 'RCPT TO:<team@example.com>', 'DATA'];

  it('keeps a mail with its attachments', async () => {
    expect(await talk('EHLO test', login(receiver.password), ...ENVELOPE, MAIL)).toEqual([
      220, 250, 235, 250, 250, 354, 250,
    ]);
    const [mail] = receiver.mails;
    expect([mail?.subject, mail?.text?.trim()]).toEqual(['Strikes', 'See below.']);
    expect(mail?.attachments.map(({ filename, content }) => [filename, content.toString()])).toEqual([
      ['strikes.csv', 'a,b\n1,2\n'],
    ]);
  });

  it('takes none from those who do not log in', async () => {
    expect(await talk('EHLO test', login('guess'), ENVELOPE[0]!)).toEqual([220, 250, 535, 530]);
  });
});
