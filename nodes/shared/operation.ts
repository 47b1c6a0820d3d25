/** What an operation file exports, and what the node file does with it. */
import type { IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

export interface Operation {
  description: INodeProperties[];
  /** Handles one item. */
  execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]>;
  /** Handles all items at once, where the parameters say so. */
  executeAll?(context: IExecuteFunctions): Promise<INodeExecutionData[] | undefined>;
}
