/** What came of one try to deliver an event. */

export type OutcomeKind =
  /** The receiver took it. */
  | 'delivered'
  /** It answered, but not with 2xx. */
  | 'refused'
  /** There was no answer. */
  | 'unreachable'
  /** It must not be called. */
  | 'forbidden'
  /** The server could not sign it. */
  | 'unsigned';

export interface Outcome {
  readonly kind: OutcomeKind;
  readonly startedAt: Date;
  readonly durationMs: number;
  /** Of the reply, if there was one. */
  readonly status: number | null;
  readonly error: string | null;
  /** The first bytes of the reply's body. */
  readonly answer: string | null;
}
