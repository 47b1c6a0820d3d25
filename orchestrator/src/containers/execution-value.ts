/** The value that code gave back. What the sandbox sends was in reach of user code: it is JSON only once it was read. */
import { isNestedDeeperThan } from '../common/json-nesting.js';
import type { ExecutionEvent } from '../sandboxes/sandbox.driver.js';

/** `from`: the variable `result`, or the value of the last line. */
export interface ExecutionValue {
  readonly from: 'result' | 'expression';
  readonly json: unknown;
}

/** An honest sandbox nests less (`MAX_DEPTH` in sandbox/kernel/values.py). */
const MAX_DEPTH = 100;

/** `null` if the text is not JSON that can be kept. */
export function readValue({ from, json }: Extract<ExecutionEvent, { type: 'value' }>): ExecutionValue | null {
  if (isNestedDeeperThan(json, MAX_DEPTH)) return null;
  try {
    return { from, json: JSON.parse(json.toString('utf8')) as unknown };
  } catch {
    return null;
  }
}
