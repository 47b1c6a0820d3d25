/** What may follow what, written once as a table: the diagrams above it, the writes below it. */

export type Transitions<S extends string> = Readonly<Record<S, readonly S[]>>;

export interface States<S extends string> {
  readonly transitions: Transitions<S>;
  canGo(from: S, to: S): boolean;
  /**
   * The states from which `to` can be reached in one step, in the order of the table: what a
   * compare-and-set that writes `to` has in its `status IN (…)`. A new array each time, as Prisma wants it.
   * Throws when nothing leads to `to`, for such a write could never happen.
   */
  sourcesOf(to: S): S[];
  /** Nothing follows it. */
  isTerminal(state: S): boolean;
  /** The states that something follows, in the order of the table; a new array each time. */
  open(): S[];
}

/** Called once for each kind of row, in its `*.state.ts`. */
export function defineStates<S extends string>(transitions: Transitions<S>): States<S> {
  const names = Object.keys(transitions) as S[];
  return {
    transitions,
    canGo: (from, to) => transitions[from].includes(to),
    sourcesOf: (to) => {
      const sources = names.filter((from) => transitions[from].includes(to));
      if (sources.length === 0) throw new Error(`nothing leads to the state '${to}'`);
      return sources;
    },
    isTerminal: (state) => transitions[state].length === 0,
    open: () => names.filter((state) => transitions[state].length > 0),
  };
}
