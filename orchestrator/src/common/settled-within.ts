/** Resolves when `work` has settled, however, or after `ms` (milliseconds), whichever comes first. Never rejects. */
export async function settledWithin(ms: number, work: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(() => late.resolve(), ms);
  try {
    await Promise.race([work.catch(() => undefined), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
