import type { LlmUsage } from '../../llm/llm.js';
import type { UsageCounts } from '../record/turn-end.js';
import type { Usage } from '../response.types.js';

/** Adds up what all turns of a response used; `earlier` is what an earlier process counted. */
export class UsageMeter {
  private input: number;
  private cached: number;
  private output: number;
  private reasoning: number;

  constructor(earlier: UsageCounts = { input: 0, cached: 0, output: 0, reasoning: 0 }) {
    this.input = earlier.input;
    this.cached = earlier.cached;
    this.output = earlier.output;
    this.reasoning = earlier.reasoning;
  }

  add(usage: LlmUsage | null): void {
    if (!usage) return;
    this.input += usage.inputTokens;
    this.cached += usage.cachedTokens;
    this.output += usage.outputTokens;
    this.reasoning += usage.reasoningTokens;
  }

  get outputTokens(): number {
    return this.output;
  }

  counts(): UsageCounts {
    const { input, cached, output, reasoning } = this;
    return { input, cached, output, reasoning };
  }

  total(): Usage {
    return {
      input_tokens: this.input,
      input_tokens_details: { cached_tokens: this.cached, cache_write_tokens: 0 },
      output_tokens: this.output,
      output_tokens_details: { reasoning_tokens: this.reasoning },
      total_tokens: this.input + this.output,
    };
  }
}
