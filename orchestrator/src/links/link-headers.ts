/** What a browser may do with content that a link opens: show a picture, a text or a PDF; save all else. */
import { contentDisposition } from '../common/content-disposition.js';
import { mimeTypeOf, UNKNOWN_MIME_TYPE } from '../common/mime.js';

const TEXT = 'text/plain; charset=utf-8';

/** Types that are shown, and as what. Nothing here can run a script with the rights of this address. */
const SHOWN: Readonly<Record<string, string>> = {
  'image/png': 'image/png',
  'image/jpeg': 'image/jpeg',
  'image/gif': 'image/gif',
  'image/webp': 'image/webp',
  'application/pdf': 'application/pdf',
  'application/json': TEXT,
  'text/csv': TEXT,
  'text/markdown': TEXT,
  'text/plain': TEXT,
};

/** Viewers of PDFs do not work in a sandbox. */
const policyOf = (type: string): string =>
  type === 'application/pdf' ? "default-src 'none'" : "sandbox; default-src 'none'";

export function linkHeaders(fileName: string): Record<string, string> {
  const shown = SHOWN[mimeTypeOf(fileName)];
  const type = shown ?? UNKNOWN_MIME_TYPE;
  return {
    'content-type': type,
    'content-disposition': contentDisposition(shown === undefined ? 'attachment' : 'inline', fileName),
    'content-security-policy': policyOf(type),
    // A link that was revoked must open nothing, wherever it was opened before.
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-robots-tag': 'noindex, nofollow',
    // Chats and mail programs show pictures inside their own pages.
    'cross-origin-resource-policy': 'cross-origin',
  };
}
