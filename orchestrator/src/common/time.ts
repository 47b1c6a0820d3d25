/** Dates inside, Unix seconds on the wire (docs/contract/errors-and-headers.md). */
export const toUnix = (date: Date): number => Math.floor(date.getTime() / 1000);
export const toUnixOrNull = (date: Date | null | undefined): number | null => (date ? toUnix(date) : null);
export const addSeconds = (date: Date, seconds: number): Date => new Date(date.getTime() + seconds * 1000);
