/** What several sources yield, as it comes. The first failure is thrown when all have ended. */
export async function* merged<T>(sources: readonly AsyncGenerator<T>[]): AsyncGenerator<T> {
  const waiting = new Map(sources.map((source) => [source, source.next()]));
  let failure: { readonly error: unknown } | undefined;
  while (waiting.size > 0) {
    const { source, result } = await Promise.race(
      [...waiting].map(async ([each, next]) => {
        try {
          return { source: each, result: await next };
        } catch (error) {
          failure ??= { error };
          return { source: each, result: { done: true as const, value: undefined } };
        }
      }),
    );
    if (result.done === true) waiting.delete(source);
    else {
      waiting.set(source, source.next());
      yield result.value;
    }
  }
  if (failure) throw failure.error;
}
