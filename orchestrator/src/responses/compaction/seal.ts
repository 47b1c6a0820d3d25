/**
 * What stands in `encrypted_content` of a compaction item: sealed with AES-256-GCM under a key of the
 * project, so that a client can keep it and send it back, but neither read nor change it, nor use that of
 * another project. Pure; the key comes from {@link SealKeyRepository}.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

/** First byte of a sealed text; another format gets another number. */
const VERSION = 1;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = 1 + IV_BYTES + TAG_BYTES;

const keyOf = (installation: Buffer, projectId: string): Buffer =>
  Buffer.from(hkdfSync('sha256', installation, '', `compaction:${projectId}`, 32));

export function seal(installation: Buffer, projectId: string, text: string): string {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', keyOf(installation, projectId), iv);
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([Buffer.from([VERSION]), iv, cipher.getAuthTag(), sealed]).toString('base64url');
}

/** The text, or null when this was not sealed here for this project. */
export function unseal(installation: Buffer, projectId: string, sealed: string): string | null {
  const bytes = Buffer.from(sealed, 'base64url');
  if (bytes.length < HEAD_BYTES || bytes[0] !== VERSION) return null;
  const iv = bytes.subarray(1, 1 + IV_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', keyOf(installation, projectId), iv, {
    authTagLength: TAG_BYTES,
  });
  decipher.setAuthTag(bytes.subarray(1 + IV_BYTES, HEAD_BYTES));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(HEAD_BYTES)), decipher.final()]).toString('utf8');
  } catch {
    return null;
  }
}
