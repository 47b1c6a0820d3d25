/** What an operation file exports, and what the node file does with it. */
import { NodeOperationError } from 'n8n-workflow';
import type { IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

export interface Operation {
  description: INodeProperties[];
  /** Handles one item. */
  execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]>;
}

export type Operations = Readonly<Record<string, Readonly<Record<string, Operation>>>>;

/** The fields of all operations, each operation's in the order in which a person fills them in. */
export const fieldsOf = (operations: Operations): INodeProperties[] => [
  ...new Set(
    Object.values(operations).flatMap((byName) =>
      Object.values(byName).flatMap(({ description }) => description),
    ),
  ),
];

/** The operation that the parameters name. A workflow of a newer version may name one that is not here. */
export function operationOf(
  context: IExecuteFunctions,
  operations: Operations,
  itemIndex: number,
): Operation {
  const resource = context.getNodeParameter('resource', itemIndex, 'file') as string;
  const name = context.getNodeParameter('operation', itemIndex) as string;
  const operation = operations[resource]?.[name];
  if (operation !== undefined) return operation;
  throw new NodeOperationError(context.getNode(), `This version of the node has no operation '${name}'`, {
    description: 'Update the community package, or choose another operation.',
    itemIndex,
  });
}
