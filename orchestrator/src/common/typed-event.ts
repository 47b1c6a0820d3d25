export type Listener<T> = (value: T) => void;

/**
 * Something that happened, for whoever wants to know: any number of listeners, in the order in which they came. What
 * is asked, and so has one answer, is a port instead.
 */
export class TypedEvent<T> {
  private readonly listeners = new Set<Listener<T>>();

  /** Returns what takes the listener off again. */
  on(listener: Listener<T>): () => void {
    // An entry of its own for each call, so that one function that listens twice is taken off once.
    const entry: Listener<T> = (value) => listener(value);
    this.listeners.add(entry);
    return () => void this.listeners.delete(entry);
  }

  /** All are called, also after one that throws; then its error is thrown, or an AggregateError of several. */
  emit(value: T): void {
    const errors: unknown[] = [];
    for (const listener of [...this.listeners]) {
      try {
        listener(value);
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new AggregateError(errors, 'several listeners failed');
  }
}
