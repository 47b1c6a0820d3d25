/**
 * Spreadsheet in, chart and workbook by e-mail, every week: done from an empty canvas by clicking and typing
 * alone, with a schedule that the clock starts and a mail server that takes the mail.
 */
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { ParsedMail } from 'mailparser';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MailReceiver } from '../fakes/mail-receiver/receiver.js';
import { eventually } from '../support/api.js';
import { type Editor, PATIENCE_MS, useEditor } from './support/editor.js';
import { useBench } from './support/nodes.js';

const { n8n, script } = useBench();
const editor = useEditor(n8n.url);

const ROOT = join(import.meta.dirname, '../..');
const WORKBOOK = readFileSync(join(ROOT, 'examples/data/birdstrikes.xlsx'));
/** As the page for users has it. */
const CODE = programIn(readFileSync(join(ROOT, 'docs/n8n/install.md'), 'utf8'));
/** Of a sheet that has not such a column, as happens when somebody renames it. */
const BROKEN_CODE = CODE.replace('Origin State', 'State of Origin');
/** A model is told where the files are. */
const MODEL_CODE = CODE.replace('files[0]["path"]', '"/mnt/data/birdstrikes.xlsx"');
/** A schedule begins so long after it is entered at least; the workflow is published by then. */
const LEAD_MS = 30_000;
const MINUTE_MS = 60_000;
const HOURS = ['Midnight', ...hours('am'), 'Noon', ...hours('pm')];
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

/** The Python of a page, whose block is indented as part of a list. */
function programIn(page: string): string {
  const [, indent = '', program = ''] = /^( *)```python\n([^]*?)^ *```$/m.exec(page) ?? [];
  return program.replaceAll(new RegExp(`^${indent}`, 'gm'), '');
}

function hours(half: string): readonly string[] {
  return Array.from({ length: 11 }, (_, index) => `${index + 1}${half}`);
}

const receiver = new MailReceiver();
const files = createServer((_, reply) => {
  reply.setHeader('content-type', 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet');
  reply.end(WORKBOOK);
});
let address: string;

beforeAll(async () => {
  await receiver.start();
  await new Promise<void>((resolve) => files.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${(files.address() as AddressInfo).port}/birdstrikes.xlsx`;
});
afterAll(async () => {
  files.close();
  await receiver.stop();
});

/** In the open panel of a Schedule Trigger: every week, the next time in a moment, which it returns. */
async function scheduleSoon(at: Editor): Promise<Date> {
  const days = at.field('triggerAtDay').locator('.el-tag');
  await days.first().waitFor();
  const soon = new Date(Math.ceil((Date.now() + LEAD_MS) / MINUTE_MS) * MINUTE_MS);
  const day = DAYS[soon.getUTCDay()]!;
  if (!(await days.allInnerTexts()).map((text) => text.trim()).includes(day)) {
    await at.choose('triggerAtDay', day);
    await at.page.getByText('Trigger Rules').click();
  }
  await at.choose('triggerAtHour', HOURS[soon.getUTCHours()]!);
  await at.write('triggerAtMinute', String(soon.getUTCMinutes()));
  return soon;
}

/** Every week → the workbook by HTTP. */
async function beginReport(at: Editor): Promise<void> {
  await at.begin('schedule', 'Schedule Trigger');
  await at.see('fixed-collection-rule').getByTestId('parameter-input-field').first().click();
  await at.page.getByRole('option', { name: 'Weeks', exact: true }).click();
  await at.closePanel();
  await at.append('http', 'HTTP Request');
  await at.write('url', address);
  await at.closePanel();
}

let hasMailServer = false;

async function enterMailServer(at: Editor): Promise<void> {
  await at.see('node-credentials-empty-state').getByRole('button').first().click();
  await at.write('user', receiver.user);
  await at.write('password', receiver.password);
  await at.write('host', '127.0.0.1');
  await at.write('port', String(receiver.port));
  await at.field('secure').locator('.el-switch').click();
  await at.see('credential-save-button').click();
  await at.see('editCredential-modal').waitFor({ state: 'hidden' });
}

/** Behind the last node: a mail with what that gives out. The first one also enters the mail server. */
async function appendMail(at: Editor, subject: string, html: string, attachments?: string): Promise<void> {
  await at.append('send email', 'Send Email', 'Send an Email');
  // Later ones find it chosen, a moment after their panel has opened.
  if (!hasMailServer) await enterMailServer(at);
  hasMailServer = true;
  await at.write('fromEmail', 'reports@example.com');
  await at.write('toEmail', 'team@example.com');
  await at.write('subject', subject);
  await at.express('html', html);
  if (attachments !== undefined) {
    await at.addOption('Attachments (File)');
    await at.express('fileAttachments', attachments);
  }
  await at.shot(`journey-${subject}`);
  await at.closePanel();
}

/** Publishes it with a schedule that is due in a moment, and again where that had passed by then. */
async function publishSoon(at: Editor, times: 'first' | 'again' = 'first'): Promise<void> {
  await at.openPanel('Schedule Trigger');
  const soon = await scheduleSoon(at);
  await at.closePanel();
  await at.publish();
  if (times === 'first') await at.understand();
  if (Date.now() > soon.getTime()) await publishSoon(at, 'again');
}

/** The four nodes, the workflow to tell when one of them fails, and the clock. */
async function makeReport(at: Editor, subject: string, code: string): Promise<void> {
  await beginReport(at);
  await at.append('excel', 'Code Interpreter Containers', 'Run code on items and files');
  await at.writeCode('code', 'Python Code', code);
  await at.shot(`journey-python-${subject}`);
  await at.closePanel();
  await appendMail(at, subject, '{{ $json.state }}: {{ $json.cost }}', '{{ $json.attachments }}');
  expect(await at.see('canvas-node').count()).toBe(4);
  await at.chooseErrorWorkflow('Tell the team');
  await publishSoon(at);
}

/** Waits for the clock, which n8n lets be up to a minute late, and for the mail. */
async function mailOf(subject: string): Promise<ParsedMail> {
  const mails = await eventually(
    () => Promise.resolve(receiver.mails.filter((mail) => mail.subject === subject)),
    ({ length }) => length > 0,
    4 * MINUTE_MS,
  );
  if (mails.length !== 1) {
    throw new Error(
      `${mails.length} mails about “${subject}”; there are: ${receiver.mails.map((mail) => `${mail.subject}: ${mail.text}`).join()}`,
    );
  }
  return mails[0]!;
}

/** Name and first bytes of each attachment. */
const attached = (mail: ParsedMail): readonly unknown[] =>
  mail.attachments.map(({ filename, content }) => [filename, content.subarray(0, 2).toString('latin1')]);

const FILES = [
  ['Cost of bird strikes.png', '\x89P'],
  ['costs.xlsx', 'PK'],
];

describe('the weekly report', { timeout: 5 * PATIENCE_MS }, () => {
  it('begins with a person who signs in', () => editor().signIn());

  it('is told of by a workflow that starts when another one fails', async () => {
    const at = editor();
    await at.begin('error trigger', 'Error Trigger');
    if (await at.see('ndv').isVisible()) await at.closePanel();
    await appendMail(at, 'Report failed', '{{ $json.execution.error.message }}');
    await at.rename('Tell the team');
    await at.publish();
  });

  it('is made of four nodes, of which two need a field filled in', async () => {
    await makeReport(editor(), 'Bird strikes', CODE);
    await editor().see('zoom-to-fit').click();
    await editor().shot('journey-canvas');
  });

  it('is made once more with code that will raise', () => makeReport(editor(), 'Broken', BROKEN_CODE));

  it('is made with a model as well, which is told in words', async () => {
    const at = editor();
    await script(
      { calls: [{ name: 'python', arguments: { code: MODEL_CODE } }] },
      { text: 'Texas pays most.' },
    );
    await beginReport(at);
    await at.append('spreadsheet', 'Code Interpreter Responses', 'Ask a model about files and data');
    await at.write('prompt', 'Which states pay most for bird strikes? A chart and a workbook, please.');
    await at.shot('journey-model');
    await at.closePanel();
    await appendMail(at, 'Bird strikes, by a model', '{{ $json.output_text }}', '{{ $json.attachments }}');
    expect(await at.see('canvas-node').count()).toBe(4);
    await publishSoon(at);
  });

  it('comes by mail when the clock says so, with chart and workbook', async () => {
    const mail = await mailOf('Bird strikes');
    expect(mail.html).toContain('Texas: 7798739');
    expect(attached(mail)).toEqual(FILES);
  });

  it('does not come where the code raised; the other workflow tells what was raised', async () => {
    const told = await mailOf('Report failed');
    expect(told.html).toContain("KeyError: 'State of Origin'");
    expect(receiver.mails.filter(({ subject }) => subject === 'Broken')).toEqual([]);
  });

  it('comes by mail with what the model says', async () => {
    const mail = await mailOf('Bird strikes, by a model');
    expect(mail.html).toContain('Texas pays most.');
    expect(attached(mail)).toEqual(FILES);
  });
});
