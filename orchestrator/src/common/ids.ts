/** Ids as they are seen on the wire: a prefix that says what it is, then randomness. */
import { randomBytes } from 'node:crypto';

const ALPHANUMERIC = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

const hex = (prefix: string, bytes: number): string => `${prefix}_${randomBytes(bytes).toString('hex')}`;

/** `length` characters of A–Z, a–z, 0–9, unbiased. */
export function alphanumeric(length: number): string {
  let out = '';
  while (out.length < length) {
    for (const byte of randomBytes(length)) {
      if (byte < 248 && out.length < length) out += ALPHANUMERIC[byte % 62];
    }
  }
  return out;
}

export const newId = {
  project: () => hex('proj', 12),
  apiKey: () => hex('key', 12),
  request: () => hex('req', 16),
  file: () => `file-${alphanumeric(22)}`,
  fileLink: () => hex('link', 12),
  upload: () => hex('upload', 24),
  uploadPart: () => hex('part', 24),
  container: () => hex('cntr', 24),
  containerFile: () => hex('cfile', 16),
  execution: () => hex('exec', 24),
  response: () => hex('resp', 24),
  message: () => hex('msg', 24),
  compaction: () => hex('cmp', 24),
  reasoning: () => hex('rs', 24),
  codeInterpreterCall: () => hex('ci', 24),
  functionCall: () => hex('fc', 24),
  call: () => `call_${alphanumeric(24)}`,
  conversation: () => hex('conv', 24),
  webhookEndpoint: () => hex('whe', 16),
  webhookDelivery: () => hex('wh', 16),
  event: () => hex('evt', 16),
};
