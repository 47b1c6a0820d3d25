/** n8n previews only exact types without parameters, so the name decides and the header is the fallback. */

const TYPES: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  webp: 'image/webp',
  gif: 'image/gif',
  bmp: 'image/bmp',
  tif: 'image/tiff',
  tiff: 'image/tiff',
  svg: 'image/svg+xml',
  csv: 'text/csv',
  tsv: 'text/plain',
  txt: 'text/plain',
  log: 'text/plain',
  py: 'text/plain',
  sql: 'text/plain',
  yaml: 'text/plain',
  yml: 'text/plain',
  md: 'text/markdown',
  html: 'text/html',
  css: 'text/css',
  json: 'application/json',
  ipynb: 'application/json',
  pdf: 'application/pdf',
  xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
  xls: 'application/vnd.ms-excel',
  docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  pptx: 'application/vnd.openxmlformats-officedocument.presentationml.presentation',
  zip: 'application/zip',
  gz: 'application/gzip',
  tar: 'application/x-tar',
  parquet: 'application/vnd.apache.parquet',
  xml: 'application/xml',
  mp3: 'audio/mpeg',
  wav: 'audio/wav',
  ogg: 'audio/ogg',
  mp4: 'video/mp4',
  webm: 'video/webm',
};

const FALLBACK = 'application/octet-stream';

export function extensionOf(fileName: string): string {
  const dot = fileName.lastIndexOf('.');
  return dot > 0 ? fileName.slice(dot + 1).toLowerCase() : '';
}

export function mimeTypeOf(fileName: string, header?: string): string {
  const known = TYPES[extensionOf(fileName)];
  if (known !== undefined) return known;
  const sent = header?.split(';')[0]?.trim().toLowerCase();
  return sent !== undefined && sent.includes('/') ? sent : FALLBACK;
}

/** `/mnt/data/out/chart.png` → `chart.png` */
export const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
