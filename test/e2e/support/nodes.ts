/** Shorthands for the nodes that tests put on the canvas. */
import type { N8n, Run } from './n8n-client.js';
import { chain, type Item, MANUAL, node, type Node, withItems } from './workflow.js';
import { useStage, type Stage } from './use-stage.js';

type Fields = Readonly<Record<string, unknown>>;

/** A value of a field that offers a list, entered as an ID. */
export const byId = (value: string) => ({ __rl: true, mode: 'id', value });

/** Makes a real file of n8n's store from the field `text` of an item. */
export const textFile = (fileName: string): Node =>
  node(
    'File',
    'n8n-nodes-base.convertToFile',
    { operation: 'toText', sourceProperty: 'text', options: { fileName } },
    { typeVersion: 1.1 },
  );

/** Lets an item that was an error go on, as “On Error: Continue” in the settings of a node. */
export const CONTINUE = { onError: 'continueRegularOutput' } as const;

export interface Bench extends Stage {
  readonly n8n: N8n;
  /** Our nodes, with the credential. */
  containers(name: string, parameters: Fields, settings?: Fields): Node;
  responses(name: string, parameters: Fields, settings?: Fields): Node;
  files(name: string, parameters: Fields, settings?: Fields): Node;
  /** Presses “Execute workflow” on a trigger with these items and the nodes after it. */
  run(items: readonly Item[], ...nodes: readonly Node[]): Promise<Run>;
}

/** The stage, and our nodes with its credential. */
export function useBench(): Bench {
  const stage = useStage();
  const ours =
    (type: string) =>
    (name: string, parameters: Fields, settings: Fields = {}): Node =>
      node(name, type, parameters, { credentials: stage.credentials, ...settings });
  return {
    ...stage,
    containers: ours('containers'),
    responses: ours('responses'),
    files: ours('files'),
    run: (items, ...nodes) => stage.n8n.run(withItems(chain(node('Start', MANUAL), ...nodes), items)),
  };
}
