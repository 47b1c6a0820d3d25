/** Live events of an execution, as the extension endpoint sends them. */
import { presentExecution } from './execution.presenter.js';
import type { ExecutionObject } from './execution.presenter.js';
import type { ExecutionOutput } from './execution-outputs.js';
import type { RunEvent } from './execution.service.js';

export type ExecutionStreamEvent =
  | {
      readonly type: 'execution.started';
      readonly sequence_number: number;
      readonly execution: ExecutionObject;
    }
  | { readonly type: 'execution.output'; readonly sequence_number: number; readonly output: ExecutionOutput }
  | {
      readonly type: 'execution.completed';
      readonly sequence_number: number;
      readonly execution: ExecutionObject;
    };

/** Numbers the events; the last one is always `execution.completed`, whatever the status. */
export async function* executionEvents(
  events: AsyncIterable<RunEvent>,
): AsyncGenerator<ExecutionStreamEvent> {
  let sequence = 0;
  for await (const event of events) {
    const sequence_number = sequence;
    sequence += 1;
    switch (event.type) {
      case 'started':
        yield { type: 'execution.started', sequence_number, execution: presentExecution(event.execution) };
        break;
      case 'output':
        yield { type: 'execution.output', sequence_number, output: event.output };
        break;
      case 'finished':
        yield { type: 'execution.completed', sequence_number, execution: presentExecution(event.execution) };
        break;
    }
  }
}
