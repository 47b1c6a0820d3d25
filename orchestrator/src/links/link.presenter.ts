import { toUnix, toUnixOrNull } from '../common/time.js';
import type { LinkRow } from './link.repository.js';
import type { LinkObject } from './link.schema.js';

/** A link as the wire shows it; `url` is known only while it is made. */
export const presentLink = (row: LinkRow, filename: string, url: string | null = null): LinkObject => ({
  id: row.id,
  object: 'file.link',
  file_id: row.fileId,
  filename,
  url,
  created_at: toUnix(row.createdAt),
  expires_at: toUnix(row.expiresAt),
  downloads: row.downloads,
  last_downloaded_at: toUnixOrNull(row.lastDownloadedAt),
});
