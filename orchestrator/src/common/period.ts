/** From `from` on, and before `to`; absent means without a bound. */
export interface Period {
  readonly from?: Date | undefined;
  readonly to?: Date | undefined;
}
