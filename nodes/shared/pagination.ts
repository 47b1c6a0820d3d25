/** Lists of the server, page by page. */
import type { IDataObject, IExecuteFunctions } from 'n8n-workflow';
import { apiRequest } from './transport';
import type { ApiContext, ListObject } from './types';

const PAGE = 100;

/** Reads until the end, or until `limit` entries are there. */
export async function listAll<T extends { id: string }>(
  context: ApiContext,
  path: string,
  limit: number,
  qs: IDataObject = {},
): Promise<T[]> {
  const all: T[] = [];
  let after: string | undefined;
  do {
    const page = await apiRequest<ListObject<T>>(context, {
      method: 'GET',
      path,
      qs: { ...qs, limit: Math.min(PAGE, limit - all.length), ...(after === undefined ? {} : { after }) },
    });
    all.push(...page.data);
    after = page.has_more ? page.data.at(-1)?.id : undefined;
  } while (after !== undefined && all.length < limit);
  return all.slice(0, limit);
}

/** Reads the parameters of `returnAllFields`. */
export function limitOf(context: IExecuteFunctions, itemIndex: number): number {
  const everything = context.getNodeParameter('returnAll', itemIndex, false) as boolean;
  return everything ? Number.POSITIVE_INFINITY : (context.getNodeParameter('limit', itemIndex, 50) as number);
}
