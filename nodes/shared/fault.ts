/** Why a run of code is no success: a message and what helps. Without it a report would go out with no figures in it. */
import { hintFor } from './habits';
import { noticesOf } from './runCode';
import type { ExecutionObject, ResponseObject } from './types';

export interface Fault {
  message: string;
  description: string;
}

/** How code may end other than by its last line or an exception. */
const ENDINGS: Readonly<Record<string, Fault>> = {
  timed_out: {
    message: 'The code was stopped by its time limit',
    description: "Raise 'Timeout (Seconds)' in the options, or work on less data at a time.",
  },
  out_of_memory: {
    message: 'The code needed more memory than the container has',
    description:
      "Choose more 'Memory' in the options, or read large files in pieces. A running container keeps the size it was created with.",
  },
  kernel_died: {
    message: 'Python ended unexpectedly',
    description: 'Files are kept, variables are lost. Run the steps again.',
  },
  interrupted: {
    message: 'The code was interrupted',
    description: 'It was cancelled, or its container was deleted.',
  },
  failed: {
    message: 'The code could not be run',
    description: 'The server log says why. Try again.',
  },
};

/** `undefined` for code that came to its end with what it was asked for. */
export function faultOf(execution: ExecutionObject): Fault | undefined {
  const { status, error } = execution;
  const notices = noticesOf(execution);
  if (status !== 'completed') {
    const { message, description } = ENDINGS[status] ?? {
      message: `The code ended as ${status}`,
      description: '',
    };
    return { message, description: joined(description, ...notices.map((notice) => notice.message)) };
  }
  if (error !== null) {
    const message = `${error.name}: ${error.value}`;
    return { message, description: joined(hintFor(message), error.traceback) };
  }
  const dropped = notices.find(({ code }) => code === 'value_dropped');
  return (
    dropped && { message: 'The result of the code could not become items', description: dropped.message }
  );
}

const joined = (...parts: string[]): string => parts.filter((part) => part !== '').join('\n\n');

const CUT_OFF: Readonly<Record<string, string>> = {
  max_output_tokens: "Raise 'Max Output Tokens' in the options, or ask for a shorter answer.",
  content_filter: "The provider's content filter cut the answer off. Change the prompt.",
};

/** The same for a response, `run` being the last code it ran. Only where the code is the prompt does its exception count. */
export function faultOfResponse(
  response: ResponseObject,
  run: ExecutionObject | undefined,
): Fault | undefined {
  const kept = `The response ${response.id} is kept on the server.`;
  switch (response.status) {
    case 'failed':
      return {
        message: `The response failed: ${response.error?.message ?? 'the server gave no reason'}`,
        description: `${kept} Check the model in 'Model' and its provider in the configuration of the server.`,
      };
    case 'cancelled':
      return { message: 'The response was cancelled', description: kept };
    case 'incomplete': {
      const reason = response.incomplete_details?.reason ?? '';
      return {
        message: 'The answer was cut off before its end',
        description: joined(CUT_OFF[reason] ?? reason, kept),
      };
    }
    default:
      return isProgram(response) && run !== undefined ? faultOfProgram(run) : undefined;
  }
}

function faultOfProgram(run: ExecutionObject): Fault | undefined {
  const fault = faultOf(run);
  if (fault === undefined || run.error?.name !== 'SyntaxError') return fault;
  const hint =
    "The model python runs the prompt as Python code. To ask in plain words, choose a language model in 'Model'; where the list has none, the server needs one (OPENAI_BASE_URL).";
  return { ...fault, description: joined(hint, fault.description) };
}

/** Whether the prompt was run as code, by the built-in pseudo-model. */
export const isProgram = ({ model }: ResponseObject): boolean => model === 'python';
