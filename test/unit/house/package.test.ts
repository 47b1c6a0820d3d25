/** What n8n asks of a community package, where no linter looks before there are nodes. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../../..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string>>;

describe('the published package', () => {
  it('brings no dependency and overrides nobody’s', () => {
    expect(manifest).not.toHaveProperty('dependencies');
    expect(manifest).not.toHaveProperty('overrides');
    expect(manifest['peerDependencies']).toEqual({ 'n8n-workflow': '*' });
  });

  it('runs nothing when it is installed', () => {
    const forbidden = /^(pre|post)?(install|prepare|publish)$|^prepublish$/;
    expect(Object.keys(manifest['scripts']!).filter((name) => forbidden.test(name))).toEqual([]);
  });

  it('keeps n8n’s lint configuration as it is', () => {
    const template = 'node_modules/@n8n/node-cli/dist/template/templates/shared/default/eslint.config.mjs';
    expect(read('eslint.config.mjs').trim()).toBe(read(template).trim());
  });
});
