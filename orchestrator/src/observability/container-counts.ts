export interface ContainerCount {
  /** Running at this moment, whatever the sweep has written down. */
  readonly live: number;
  /** Of these, how many a sandbox serves. */
  readonly bound: number;
}

/** Port: what the metrics tell of containers. The feature that has them implements it. */
export abstract class ContainerCounts {
  abstract countLive(): Promise<ContainerCount>;
}
