import type { LlmUsage } from '../../llm/llm.js';
import type { Usage } from '../response.types.js';

/** Adds up what all turns of a response used (contract §2.6). */
export class UsageMeter {
  private input = 0;
  private cached = 0;
  private output = 0;
  private reasoning = 0;

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
