/** How much of a conversation is read into memory for one request. Pure. */
import { ApiError } from '../../common/api-error.js';

/** Items of earlier turns in one context. */
export const MAX_CONTEXT_ITEMS = 20_000;
/** Times the largest body of a request: bytes of JSON of earlier turns in one context. */
const BODIES = 2;
/** Items and bytes of earlier turns read from the database in one go. */
const BATCH_ITEMS = 500;
const BATCH_BYTES = 8 * 1024 * 1024;

export interface Size {
  readonly items: number;
  readonly bytes: number;
}

export const addSizes = (sizes: readonly Size[]): Size =>
  sizes.reduce<Size>((sum, each) => ({ items: sum.items + each.items, bytes: sum.bytes + each.bytes }), {
    items: 0,
    bytes: 0,
  });

/** Throws 400 `context_length_exceeded` when that much is not read. `param`: what of the request asked for it. */
export function checkContextSize(size: Size, maxBodyBytes: number, param: string): void {
  const maxBytes = BODIES * maxBodyBytes;
  if (size.items <= MAX_CONTEXT_ITEMS && size.bytes <= maxBytes) return;
  throw new ApiError(
    'context_length_exceeded',
    `What '${param}' stands for is too large: ${size.items} items with ${size.bytes} bytes, of at most ${MAX_CONTEXT_ITEMS} items and ${maxBytes} bytes. Begin a new conversation with what matters of it, and send large files by 'file_id'.`,
    { param },
  );
}

/** Cuts a list into pieces that are read one after the other; one that is larger is a piece of its own. */
export function batchesOf<T extends Size>(sizes: readonly T[]): T[][] {
  const batches: T[][] = [];
  let room: Size = { items: 0, bytes: 0 };
  for (const size of sizes) {
    const batch = batches.at(-1);
    if (batch && size.items <= room.items && size.bytes <= room.bytes) batch.push(size);
    else {
      batches.push([size]);
      room = { items: BATCH_ITEMS, bytes: BATCH_BYTES };
    }
    room = { items: room.items - size.items, bytes: room.bytes - size.bytes };
  }
  return batches;
}
