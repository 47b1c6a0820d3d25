import { toUnix, toUnixOrNull } from '../common/time.js';
import type { StoredFile } from './file.repository.js';
import type { FileObject } from './file.schema.js';

/** A file as the wire shows it. */
export const presentFile = (file: StoredFile): FileObject => ({
  id: file.id,
  object: 'file',
  bytes: file.bytes,
  created_at: toUnix(file.createdAt),
  expires_at: toUnixOrNull(file.expiresAt),
  filename: file.filename,
  purpose: file.purpose,
  status: 'processed',
  status_details: null,
});
