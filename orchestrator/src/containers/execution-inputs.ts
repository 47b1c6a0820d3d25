/** What a request says of values, as the sandbox takes it. */
import { ApiError } from '../common/api-error.js';
import { MAX_INPUT_BYTES } from '../sandboxes/sandbox.driver.js';
import type { RunCodeRequest } from './execution.schema.js';
import type { RunValues } from './execution-run.js';

/** `undefined` where neither goes in nor comes out anything. Throws when the inputs are too large. */
export function valuesOf(request: RunCodeRequest): RunValues | undefined {
  const { inputs, inputs_from: inputsFrom, dataframes, returns } = request;
  if ([inputs, inputsFrom, dataframes, returns].every((each) => each === undefined)) return undefined;
  return {
    returns: returns ?? 'none',
    ...(inputs === undefined ? {} : { inputs: textOf(inputs) }),
    ...(inputsFrom === undefined ? {} : { inputsFrom }),
    ...(dataframes === undefined ? {} : { dataframes }),
  };
}

function textOf(inputs: string | Record<string, unknown>): Buffer {
  const text = Buffer.from(typeof inputs === 'string' ? inputs : JSON.stringify(inputs));
  if (text.length <= MAX_INPUT_BYTES) return text;
  throw new ApiError(
    'string_above_max_length',
    `Invalid 'inputs': ${text.length} bytes of JSON, at most ${MAX_INPUT_BYTES} are taken. Put them into a file of the container and name it in 'inputs_from'.`,
    { param: 'inputs' },
  );
}
