/** What an execution left behind, in order; kept in the row and shown by the API. */
import { storableText } from '../common/text.js';

export type ExecutionOutput =
  | { readonly type: 'stdout' | 'stderr' | 'result' | 'display'; readonly text: string }
  | { readonly type: 'error'; readonly name: string; readonly value: string; readonly traceback: string }
  | { readonly type: 'image'; readonly file_id: string; readonly mime_type: string; readonly bytes: number }
  | { readonly type: 'notice'; readonly code: string; readonly message: string };

/** Collects outputs; neighbouring pieces of one stream become one entry. */
export class OutputCollector {
  private readonly entries: ExecutionOutput[] = [];

  add(output: ExecutionOutput): void {
    const last = this.entries.at(-1);
    if ((output.type === 'stdout' || output.type === 'stderr') && last?.type === output.type) {
      this.entries[this.entries.length - 1] = { type: output.type, text: last.text + output.text };
      return;
    }
    this.entries.push(output);
  }

  list(): readonly ExecutionOutput[] {
    return this.entries;
  }
}

/** Makes text storable wherever an output carries some. */
export function storableOutput(output: ExecutionOutput): ExecutionOutput {
  switch (output.type) {
    case 'image':
      return output;
    case 'error':
      return {
        ...output,
        name: storableText(output.name),
        value: storableText(output.value),
        traceback: storableText(output.traceback),
      };
    case 'notice':
      return { ...output, message: storableText(output.message) };
    case 'stdout':
    case 'stderr':
    case 'result':
    case 'display':
      return { type: output.type, text: storableText(output.text) };
  }
}

/** An entry of `code_interpreter_call.outputs` before images are filled in (docs/contract/code-interpreter.md). */
export type CallOutput =
  | { readonly type: 'logs'; readonly logs: string }
  | { readonly type: 'image'; readonly file_id: string };

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
export function toCallOutputs(outputs: readonly ExecutionOutput[]): CallOutput[] {
  const result: CallOutput[] = [];
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
