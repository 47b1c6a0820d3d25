/** What an execution left behind, in order; kept in the row and shown by the API. */
import { storableText } from '../common/text.js';

export type ExecutionOutput =
  | { readonly type: 'stdout' | 'stderr' | 'result' | 'display'; readonly text: string }
  | { readonly type: 'error'; readonly name: string; readonly value: string; readonly traceback: string }
  | {
      readonly type: 'image';
      readonly file_id: string;
      readonly mime_type: string;
      readonly bytes: number;
      readonly title?: string;
      readonly saved_as?: string;
    }
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
      return {
        ...output,
        ...(output.title === undefined ? {} : { title: storableText(output.title) }),
        ...(output.saved_as === undefined ? {} : { saved_as: storableText(output.saved_as) }),
      };
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
