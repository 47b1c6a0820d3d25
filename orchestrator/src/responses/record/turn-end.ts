/** What is written down when the model has ended a turn, so that another process can go on from there. */
import type { LlmFinish } from '../../llm/llm.js';
import type { DraftEvent } from '../response.types.js';

/** Tokens, added up. */
export interface UsageCounts {
  readonly input: number;
  readonly cached: number;
  readonly output: number;
  readonly reasoning: number;
}

/** What all turns that have ended add up to. Plain data: it is stored as it is. */
export interface TurnEnd {
  readonly turns: number;
  /** Of the last one. */
  readonly finish: LlmFinish;
  /** The model is asked again when the calls of the last one have run; otherwise it was the answer. */
  readonly goesOn: boolean;
  /** Ids of the items that these turns said. What else there is comes from a turn that was cut off. */
  readonly items: readonly string[];
  readonly usage: UsageCounts;
}

/** Goes with the events of a run, at its place among them; nobody outside sees it. */
export interface TurnEnded {
  readonly type: 'turn.ended';
  readonly turn: TurnEnd;
}

/** What a run produces. */
export type RunDraft = DraftEvent | TurnEnded;
