/** Until this resolves, a file or the names in a folder may be gone when the power fails. */
import { open } from 'node:fs/promises';

export async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
