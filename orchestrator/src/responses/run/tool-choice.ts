/** `tool_choice` of the request → what each turn asks of the model (docs/contract/code-interpreter.md). */
import type { LlmToolChoice } from '../../llm/llm.js';
import type { ToolChoice } from '../tool.schema.js';
import { PYTHON_TOOL } from '../context/python-prompt.js';

/** The first turn honours the choice. */
export function firstChoice(choice: unknown): LlmToolChoice {
  const asked = choice as ToolChoice | undefined;
  if (asked === undefined) return { type: 'auto' };
  if (typeof asked === 'string') return { type: asked };
  if (asked.type === 'function') return { type: 'tool', name: (asked as { name: string }).name };
  if (asked.type === 'code_interpreter') return { type: 'tool', name: PYTHON_TOOL };
  if (asked.type === 'allowed_tools') return { type: (asked as { mode: 'auto' | 'required' }).mode };
  return { type: 'auto' };
}

/** Later turns may answer: a forced tool would never let the loop end. */
export function laterChoice(choice: unknown): LlmToolChoice {
  return choice === 'none' ? { type: 'none' } : { type: 'auto' };
}

/** Tools the choice lets through: all, or the subset it names. */
export function isAllowed(
  choice: unknown,
  tool: { readonly type: string; readonly name?: string | undefined },
): boolean {
  const asked = choice as ToolChoice | undefined;
  if (typeof asked !== 'object' || asked.type !== 'allowed_tools') return true;
  const { tools } = asked as { tools: readonly { type: string; name?: string | undefined }[] };
  return tools.some(
    (each) => each.type === tool.type && (tool.type !== 'function' || each.name === tool.name),
  );
}
