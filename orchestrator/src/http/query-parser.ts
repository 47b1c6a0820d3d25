/** Query strings as the official clients write them: `a[]=1&a[]=2`, `a=1&a=2`, empty = absent. */
export function parseQuery(text: string): Record<string, string | string[]> {
  const result: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  for (const [rawKey, rawValue] of new URLSearchParams(text)) {
    const key = rawKey.endsWith('[]') ? rawKey.slice(0, -2) : rawKey;
    const value = rawValue.replaceAll('\0', '');
    if (value === '') continue;
    const before = result[key];
    if (before === undefined) result[key] = rawKey.endsWith('[]') ? [value] : value;
    else if (Array.isArray(before)) before.push(value);
    else result[key] = [before, value];
  }
  return { ...result };
}
