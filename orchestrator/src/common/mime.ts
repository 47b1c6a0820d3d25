import { lookup } from 'mime-types';

/** What the table of mime-types does not know, or knows by another name than analysts' tools expect. */
const OURS: Readonly<Record<string, string>> = {
  cpp: 'text/x-c++',
  cs: 'text/x-csharp',
  ipynb: 'application/x-ipynb+json',
  java: 'text/x-java',
  js: 'text/javascript',
  jsonl: 'application/jsonl',
  mjs: 'text/javascript',
  parquet: 'application/vnd.apache.parquet',
  php: 'text/x-php',
  py: 'text/x-python',
  rb: 'text/x-ruby',
  sql: 'application/sql',
  sqlite: 'application/vnd.sqlite3',
  tex: 'text/x-tex',
  ts: 'application/typescript',
  wav: 'audio/wav',
  yaml: 'application/yaml',
  yml: 'application/yaml',
};

export const UNKNOWN_MIME_TYPE = 'application/octet-stream';

/** The type a file name promises; `application/octet-stream` for anything not in the tables. */
export function mimeTypeOf(fileName: string): string {
  const dot = fileName.lastIndexOf('.');
  if (dot < 0) return UNKNOWN_MIME_TYPE;
  const extension = fileName.slice(dot + 1).toLowerCase();
  if (Object.hasOwn(OURS, extension)) return OURS[extension]!;
  return lookup(`.${extension}`) || UNKNOWN_MIME_TYPE;
}
