/** n8n's editor in a browser, used as a person uses it: by clicking, dragging and typing. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, chromium, type Locator, type Page, selectors } from 'playwright-core';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { OWNER } from './n8n-process.js';

const SCREENSHOTS = join(import.meta.dirname, '../../../test-results/screenshots');
/** The editor is one large program, and the machine may be busy. */
export const PATIENCE_MS = 60_000;

/** Messages in the corner would hide what the pictures show. */
const HIDE_MESSAGES = `document.addEventListener('DOMContentLoaded', () => {
  const style = document.createElement('style');
  style.textContent = '.el-notification { display: none !important }';
  document.head.append(style);
});`;

/** As root in a container of CI, and looking for nothing outside this machine. */
const BROWSER_ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export class Editor {
  constructor(
    readonly page: Page,
    private readonly url: string,
  ) {}

  see(id: string): Locator {
    return this.page.getByTestId(id);
  }

  async shot(name: string): Promise<void> {
    await this.page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
  }

  async signIn(): Promise<void> {
    await this.page.goto(this.url);
    await this.page.getByLabel('Email').fill(OWNER.email);
    await this.page.getByLabel('Password').fill(OWNER.password);
    await this.page.getByRole('button', { name: 'Sign in' }).click();
    await this.page.waitForURL((url) => !url.pathname.startsWith('/signin'));
  }

  async open(workflowId: string): Promise<void> {
    await this.page.goto(`${this.url}/workflow/${workflowId}`);
  }

  /** Of the workflow that is open, and was saved. */
  get workflowId(): string {
    return new URL(this.page.url()).pathname.split('/')[2] ?? '';
  }

  /** Searches the list of nodes, which is open. */
  async search(word: string, name: string): Promise<Locator> {
    await this.see('node-creator-search-bar').fill(word);
    // Categories name nodes as well, in their descriptions.
    const title = this.see('node-creator-item-name').getByText(name, { exact: true });
    const found = this.see('item-iterator-item').filter({ has: title }).first();
    await found.waitFor();
    return found;
  }

  action(name: string): Locator {
    return this.see('item-iterator-item').filter({ hasText: name }).first();
  }

  /** Puts a node behind the last one, where its panel opens. */
  async append(word: string, name: string, action?: string): Promise<void> {
    await this.see('canvas-handle-plus').last().click();
    await (await this.search(word, name)).click();
    if (action !== undefined) {
      await this.action(action).waitFor();
      // The list slides in.
      await this.page.locator('.panel-slide-in-enter-active').first().waitFor({ state: 'detached' });
      await this.action(action).click();
    }
    await this.see('ndv').waitFor();
  }

  /** The first node of an empty canvas, whose panel opens. */
  async begin(word: string, name: string): Promise<void> {
    await this.page.goto(`${this.url}/workflow/new`);
    await this.see('canvas-add-button').click();
    await (await this.search(word, name)).click();
  }

  /** Opens the panel of a node by its name on the canvas. */
  async openPanel(name: string): Promise<void> {
    await this.see('canvas-node').filter({ hasText: name }).first().dblclick();
    await this.see('ndv').waitFor();
  }

  async closePanel(): Promise<void> {
    await this.see('ndv-close-button').click();
    await this.see('ndv').waitFor({ state: 'hidden' });
  }

  /** The input of a parameter in the open panel. */
  field(name: string): Locator {
    return this.see(`parameter-input-${name}`);
  }

  async write(name: string, text: string): Promise<void> {
    await this.field(name).locator('input, textarea').first().fill(text);
  }

  /** Chooses from the list of a parameter. */
  async choose(name: string, option: string): Promise<void> {
    await this.field(name).click();
    await this.page.getByRole('option', { name: option, exact: true }).click();
  }

  /** Types an expression; n8n notices by its braces that it is one. */
  async express(name: string, expression: string): Promise<void> {
    await this.field(name).locator('input, textarea').first().click();
    await this.page.keyboard.insertText(expression);
    await this.field(name).locator('.cm-content').waitFor();
    // Its preview lies over what comes below.
    await this.see('tab-params').click();
  }

  async addOption(option: string): Promise<void> {
    await this.see('collection-parameter-add').first().click();
    await this.page.getByRole('option', { name: option, exact: true }).click();
  }

  async rename(name: string): Promise<void> {
    await this.see('workflow-name-input').click();
    await this.page.keyboard.press('Control+A');
    await this.page.keyboard.insertText(name);
    await this.page.keyboard.press('Enter');
  }

  async publish(): Promise<void> {
    await this.see('workflow-open-publish-modal-button').click();
    await this.see('workflow-publish-button').click();
    await this.see('workflow-publish-button').waitFor({ state: 'hidden' });
  }

  /** n8n says where executions of a schedule are seen, when it is published for the first time. */
  async understand(): Promise<void> {
    const understood = this.page.getByRole('button', { name: 'Got it' });
    await understood.click();
    await understood.waitFor({ state: 'hidden' });
  }

  /** In the settings of the open workflow. */
  async chooseErrorWorkflow(name: string): Promise<void> {
    await this.see('workflow-menu').click();
    await this.see('workflow-menu-item-settings').click();
    await this.see('workflow-settings-error-workflow').click();
    await this.page.getByRole('option', { name, exact: true }).click();
    await this.page.getByRole('button', { name: 'Save', exact: true }).click();
    await this.see('workflow-settings-dialog').waitFor({ state: 'hidden' });
  }

  /** Opens the large editor of a code field, and replaces what is in it. */
  async writeCode(name: string, title: string, code: string): Promise<void> {
    const start = { position: { x: 100, y: 12 } };
    await this.field(name).locator('.cm-content').click(start);
    await this.see('code-editor-fullscreen').locator('.cm-content').click(start);
    await this.page.keyboard.press('Control+A');
    await this.page.keyboard.insertText(code);
    const dialog = this.page.getByRole('dialog', { name: `Edit ${title}` });
    await dialog.getByRole('button', { name: /close/i }).click();
  }
}

/** One browser for a test file; call it once, outside tests. A failed test leaves a picture. */
export function useEditor(url: string): () => Editor {
  let browser: Browser | undefined;
  let editor: Editor | undefined;
  const current = (): Editor => {
    if (!editor) throw new Error('the browser is not up');
    return editor;
  };
  beforeAll(async () => {
    mkdirSync(SCREENSHOTS, { recursive: true });
    selectors.setTestIdAttribute('data-test-id');
    const executablePath = process.env['TEST_CHROMIUM'];
    if (executablePath === undefined) throw new Error('TEST_CHROMIUM is not set; run: npm run test:e2e');
    browser = await chromium.launch({ executablePath, args: BROWSER_ARGUMENTS });
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    page.setDefaultTimeout(PATIENCE_MS);
    await page.addInitScript({ content: HIDE_MESSAGES });
    editor = new Editor(page, url);
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') await editor?.shot(`failed ${task.name}`);
  });
  afterAll(async () => browser?.close());
  return current;
}
