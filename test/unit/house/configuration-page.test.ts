import { describe, expect, it } from 'vitest';
import { configurationPage } from '../../../orchestrator/src/cli/configuration-page.js';
import { envSchema } from '../../../orchestrator/src/config/env.schema.js';

describe('docs/configuration.md', () => {
  const page = configurationPage();

  it('has one row for every variable, in a named group', () => {
    for (const name of Object.keys(envSchema.shape)) {
      expect(page.split(`| \`${name}\` |`).length, name).toBe(2);
    }
    expect(page).not.toContain('Everything else');
  });

  it('shows default, unit and bounds', () => {
    expect(page).toMatch(/\| `PORT` \| .+ \| port \| `3000` \| 0–65535 \|/);
    expect(page).toMatch(/\| `LOG_FORMAT` \| .+ \| `json` \| `json` `text` \|/);
    expect(page).toMatch(/\| `DATABASE_URL` \| .+ \| postgresql:\/\/ URL \| {2}\| {2}\|/);
  });
});
