/** n8n as a person sees it: find the node, put it on the canvas, fill it, run it, look at the chart. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, chromium, type Locator, type Page, selectors } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { OWNER } from './support/n8n-process.js';
import { useBench } from './support/nodes.js';
import { chain, MANUAL, node } from './support/workflow.js';

const { n8n, api, serverUrl } = useBench();
const SCREENSHOTS = join(import.meta.dirname, '../../test-results/screenshots');
const NODE = 'Code Interpreter Containers';
const ACTION = 'Run python code on items and files';
/** The editor is one large program, and the machine may be busy. */
const PATIENCE_MS = 60_000;

const ROWS = [120, 135, 128, 160, 171, 190].map((sales, index) => ({ month: `2026-0${index + 1}`, sales }));
const CODE = `import matplotlib.pyplot as plt

plt.bar(df["month"], df["sales"], color="#0f766e")
plt.title("Sales by month")
plt.show()

result = {"total": int(df["sales"].sum())}
`;

const HIDE_MESSAGES = `document.addEventListener('DOMContentLoaded', () => {
  const style = document.createElement('style');
  style.textContent = '.el-notification { display: none !important }';
  document.head.append(style);
});`;

let browser: Browser | undefined;
let page: Page;

const see = (id: string): Locator => page.getByTestId(id);
const shot = (name: string): Promise<Buffer> => page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });

beforeAll(async () => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  selectors.setTestIdAttribute('data-test-id');
  const executablePath = process.env['TEST_CHROMIUM'];
  if (executablePath === undefined) throw new Error('TEST_CHROMIUM is not set; run: npm run test:e2e');
  browser = await chromium.launch({
    executablePath,
    // It runs as root in a container of CI, and looks for nothing outside this machine.
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  page.setDefaultTimeout(PATIENCE_MS);
  // Messages in the corner would hide what the pictures show.
  await page.addInitScript({ content: HIDE_MESSAGES });
});
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') await shot(`failed ${task.name}`);
});
afterAll(async () => browser?.close());

/** Opens the list of nodes and searches it. */
async function search(word: string): Promise<void> {
  await see('node-creator-search-bar').fill(word);
  await see('item-iterator-item').filter({ hasText: NODE }).waitFor();
}

const action = (): Locator => see('item-iterator-item').filter({ hasText: ACTION });

describe('in the editor', { timeout: 5 * PATIENCE_MS }, () => {
  it('a person signs in', async () => {
    await page.goto(n8n.url);
    await page.getByLabel('Email').fill(OWNER.email);
    await page.getByLabel('Password').fill(OWNER.password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.waitForURL((url) => !url.pathname.startsWith('/signin'));
  });

  it('opens a workflow, finds our nodes by “python”, and drags one on the canvas', async () => {
    const { id } = await n8n.save({
      ...chain(
        node('When clicking ‘Execute workflow’', MANUAL),
        node(
          'Table',
          'n8n-nodes-base.set',
          { mode: 'raw', jsonOutput: JSON.stringify({ rows: ROWS }), options: {} },
          { typeVersion: 3.4 },
        ),
        node('Rows', 'n8n-nodes-base.splitOut', { fieldToSplitOut: 'rows', options: {} }),
      ),
      name: 'Sales report',
    });
    await page.goto(`${n8n.url}/workflow/${id}`);
    await see('canvas-node').nth(2).waitFor();
    await see('node-creator-plus-button').click();
    await search('python');
    await shot('search');
    expect(await see('node-creator-item-name').allInnerTexts()).toEqual(
      expect.arrayContaining(['Code Interpreter Responses', NODE, 'Code Interpreter Files']),
    );
    await see('item-iterator-item').filter({ hasText: NODE }).click();
    await action().waitFor();
    await shot('actions');
    await action()
      .locator('[draggable]')
      .first()
      .dragTo(see('canvas'), { targetPosition: { x: 500, y: 150 } });
    await see('ndv').waitFor();
    await see('ndv-close-button').click();
    expect(await see('canvas-node').count()).toBe(4);
    await page.keyboard.press('Delete');
    await expect.poll(() => see('canvas-node').count(), { timeout: PATIENCE_MS }).toBe(3);
  });

  it('puts it behind the last node, where its panel opens', async () => {
    await see('canvas-handle-plus').last().click();
    await search('python');
    await see('item-iterator-item').filter({ hasText: NODE }).click();
    await action().click();
    await see('ndv').waitFor();
    expect(await see('parameter-input-code').innerText()).toMatch(/# df: the same as a pandas DataFrame/);
  });

  it('enters a credential, and is told whether it works', async () => {
    const choose = see('node-credentials-select');
    await choose.click();
    await see('node-credentials-select-item-new').click();
    const dialog = see('editCredential-modal');
    await see('parameter-input-baseUrl').locator('input').fill(serverUrl);
    await see('parameter-input-apiKey').locator('input').fill('sk-wrong');
    await see('credential-save-button').click();
    await page.getByText('Couldn’t connect with these settings').waitFor();
    await page.getByText('More details').first().click();
    await page.getByText("The server does not accept the key in 'API Key'").first().waitFor();
    await see('parameter-input-apiKey').locator('input').fill(api.key);
    await see('credential-save-button').click();
    await dialog.waitFor({ state: 'hidden' });
    await see('credential-edit-button').click();
    await page.getByText('Connection tested successfully').waitFor();
    await shot('credential');
    await dialog.getByRole('button', { name: /close/i }).first().click();
    await dialog.waitFor({ state: 'hidden' });
  });

  it('writes Python, runs it, and sees the chart', async () => {
    await see('parameter-input-code')
      .locator('.cm-content')
      .click({ position: { x: 100, y: 12 } });
    const editor = see('code-editor-fullscreen');
    await editor.locator('.cm-content').click({ position: { x: 100, y: 12 } });
    await page.keyboard.press('Control+A');
    await page.keyboard.insertText(CODE);
    await page
      .getByRole('dialog', { name: 'Edit Python Code' })
      .getByRole('button', { name: /close/i })
      .click();
    await see('node-execute-button').first().click();
    const output = see('output-panel');
    await output.getByTestId('ndv-items-count').waitFor();
    await output.getByTestId('radio-button-binary').click();
    await output.getByTestId('ndv-view-binary-data').click();
    const picture = output.locator('img[src*="binary-data"]');
    await picture.waitFor();
    await expect
      .poll(() => picture.evaluate((image) => (image as unknown as { naturalWidth: number }).naturalWidth), {
        timeout: PATIENCE_MS,
      })
      .toBeGreaterThan(300);
    await shot('chart');
    await see('ndv-close-button').click();
    await see('zoom-to-fit').click();
    await page.getByText('Run Python', { exact: true }).waitFor();
    await shot('canvas');
  });
});
