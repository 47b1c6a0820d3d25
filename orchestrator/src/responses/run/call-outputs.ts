/** What code printed and showed, as `code_interpreter_call.outputs` has it (docs/contract/code-interpreter.md). */
import type { ExecutionOutput } from '../../containers/execution.service.js';
import type { StoredCallOutput } from '../response.types.js';

function textOf(output: Exclude<ExecutionOutput, { type: 'image' }>): string {
  switch (output.type) {
    case 'error':
      return output.traceback;
    case 'notice':
      return `[${output.message}]`;
    case 'stdout':
    case 'stderr':
    case 'result':
    case 'display':
      return output.text;
  }
}

/** stdout, stderr, traceback, last value and notices all land in `logs`, in order. */
export function toCallOutputs(outputs: readonly ExecutionOutput[]): StoredCallOutput[] {
  const result: StoredCallOutput[] = [];
  let logs = '';
  const flush = () => {
    if (logs !== '') result.push({ type: 'logs', logs });
    logs = '';
  };
  for (const output of outputs) {
    if (output.type === 'image') {
      flush();
      result.push({ type: 'image', file_id: output.file_id });
    } else {
      if (logs !== '' && !logs.endsWith('\n')) logs += '\n';
      logs += textOf(output);
    }
  }
  flush();
  return result;
}
