import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { INodeType } from 'n8n-workflow';
import { describe, expect, it } from 'vitest';
import { CodeInterpreterTool } from '../../../nodes/CodeInterpreterTool/CodeInterpreterTool.node.js';
import { CodeInterpreterTrigger } from '../../../nodes/CodeInterpreterTrigger/CodeInterpreterTrigger.node.js';
import { Containers } from '../../../nodes/Containers/Containers.node.js';
import { Files } from '../../../nodes/Files/Files.node.js';
import { Responses } from '../../../nodes/Responses/Responses.node.js';

const FOLDER = join(import.meta.dirname, '../../../docs/workflows');
const PREFIX = 'n8n-nodes-code-interpreter.';
const NODES: Readonly<Record<string, INodeType>> = {
  codeInterpreterTool: new CodeInterpreterTool(),
  codeInterpreterTrigger: new CodeInterpreterTrigger(),
  containers: new Containers(),
  files: new Files(),
  responses: new Responses(),
};

interface Workflow {
  nodes: { name: string; type: string; parameters: Record<string, unknown> }[];
  connections: Record<string, Record<string, { node: string }[][]>>;
}

describe.each(readdirSync(FOLDER).filter((name) => name.endsWith('.json')))('the example %s', (name) => {
  const workflow = JSON.parse(readFileSync(join(FOLDER, name), 'utf8')) as Workflow;

  it('has a note, and connects nodes that are there', () => {
    const names = workflow.nodes.map((node) => node.name);
    expect(new Set(names).size).toBe(names.length);
    expect(workflow.nodes.some(({ type }) => type.endsWith('.stickyNote'))).toBe(true);
    const ends = Object.values(workflow.connections)
      .flatMap((byKind) => Object.values(byKind).flat(2))
      .map(({ node }) => node);
    for (const end of [...Object.keys(workflow.connections), ...ends]) expect(names).toContain(end);
  });

  it('is listed on the page of examples', () => {
    expect(readFileSync(join(FOLDER, 'README.md'), 'utf8')).toContain(`[${name}](${name})`);
  });

  it('sets only parameters that our nodes have', () => {
    for (const { type, parameters } of workflow.nodes.filter((node) => node.type.startsWith(PREFIX))) {
      const known = NODES[type.slice(PREFIX.length)]?.description.properties.map((property) => property.name);
      for (const parameter of Object.keys(parameters)) expect(known).toContain(parameter);
    }
  });
});
