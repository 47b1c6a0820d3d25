/** Signed links: addresses that open a file without a key, in a browser, a chat or a mail, until they expire. */
import type { IDataObject } from 'n8n-workflow';
import { apiRequest } from './transport';
import type { ApiContext, RunContext } from './types';

export interface FileLink extends IDataObject {
  id: string;
  file_id: string;
  /** In the answer to its creation only. */
  url: string | null;
  expires_at: number;
}

/** `fileId` is one of the Files API or of a container; a link ends with its file. */
export async function createLink(context: ApiContext, fileId: string, hours: number): Promise<FileLink> {
  return await apiRequest<FileLink>(context, {
    method: 'POST',
    path: `/files/${encodeURIComponent(fileId)}/links`,
    body: { expires_after: { anchor: 'created_at', seconds: Math.round(hours * 3600) } },
  });
}

/** A link as it stands beside a file in an output. */
export async function linkFields(context: ApiContext, fileId: string, hours: number): Promise<IDataObject> {
  const { url, expires_at: expiresAt } = await createLink(context, fileId, hours);
  return { url, url_expires_at: expiresAt };
}

/** For a tool, which works without links as well: `undefined` where there are none, such as when the operator has switched them off. */
export async function linkIfAllowed(
  context: RunContext,
  fileId: string,
  hours: number,
): Promise<string | undefined> {
  try {
    return (await createLink(context, fileId, hours)).url ?? undefined;
  } catch (error) {
    context.logger.debug('A file got no link', { fileId, reason: (error as Error).message });
    return undefined;
  }
}
