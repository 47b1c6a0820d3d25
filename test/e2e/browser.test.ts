/** n8n as a person sees it: find the node, put it on the canvas, fill it, run it, look at the chart. */
import { describe, expect, it } from 'vitest';
import { PATIENCE_MS, useEditor } from './support/editor.js';
import { useBench } from './support/nodes.js';
import { chain, MANUAL, node } from './support/workflow.js';

const { n8n, api, serverUrl } = useBench();
const editor = useEditor(n8n.url);
const NODE = 'Code Interpreter Containers';
const ACTION = 'Run code on items and files';

const ROWS = [120, 135, 128, 160, 171, 190].map((sales, index) => ({ month: `2026-0${index + 1}`, sales }));
const CODE = `import matplotlib.pyplot as plt

plt.bar(df["month"], df["sales"], color="#0f766e")
plt.title("Sales by month")
plt.show()

result = {"total": int(df["sales"].sum())}
`;

describe('in the editor', { timeout: 5 * PATIENCE_MS }, () => {
  it('a person signs in', () => editor().signIn());

  it('opens a workflow, finds our nodes by “python”, and drags one on the canvas', async () => {
    const { page } = editor();
    const see = (id: string) => editor().see(id);
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
    await editor().open(id);
    await see('canvas-node').nth(2).waitFor();
    await see('node-creator-plus-button').click();
    const found = await editor().search('python', NODE);
    await editor().shot('search');
    expect(await see('node-creator-item-name').allInnerTexts()).toEqual(
      expect.arrayContaining(['Code Interpreter Responses', NODE]),
    );
    await found.click();
    await editor().action(ACTION).waitFor();
    await editor().shot('actions');
    await editor()
      .action(ACTION)
      .locator('[draggable]')
      .first()
      .dragTo(see('canvas'), { targetPosition: { x: 500, y: 150 } });
    await see('ndv').waitFor();
    await editor().closePanel();
    expect(await see('canvas-node').count()).toBe(4);
    await page.keyboard.press('Delete');
    await expect.poll(() => see('canvas-node').count(), { timeout: PATIENCE_MS }).toBe(3);
  });

  it('puts it behind the last node, where its panel opens', async () => {
    await editor().append('python', NODE, ACTION);
    expect(await editor().field('code').innerText()).toMatch(/# df: the same as a pandas DataFrame/);
  });

  it('enters a credential, and is told whether it works', async () => {
    const { page } = editor();
    const see = (id: string) => editor().see(id);
    await see('node-credentials-select').click();
    await see('node-credentials-select-item-new').click();
    const dialog = see('editCredential-modal');
    await editor().write('baseUrl', serverUrl);
    await editor().write('apiKey', 'sk-wrong');
    await see('credential-save-button').click();
    await page.getByText('Couldn’t connect with these settings').waitFor();
    await page.getByText('More details').first().click();
    await page.getByText("The server does not accept the key in 'API Key'").first().waitFor();
    await editor().write('apiKey', api.key);
    await see('credential-save-button').click();
    await dialog.waitFor({ state: 'hidden' });
    await see('credential-edit-button').click();
    await page.getByText('Connection tested successfully').waitFor();
    await editor().shot('credential');
    await dialog.getByRole('button', { name: /close/i }).first().click();
    await dialog.waitFor({ state: 'hidden' });
  });

  it('writes Python, runs it, and sees the chart', async () => {
    const see = (id: string) => editor().see(id);
    await editor().writeCode('code', 'Python Code', CODE);
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
    await editor().shot('chart');
    await editor().closePanel();
    await see('zoom-to-fit').click();
    await editor().page.getByText('Run Python', { exact: true }).waitFor();
    await editor().shot('canvas');
  });
});
