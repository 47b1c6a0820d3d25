/** Requests to the built-in model `python`: the message is the program. */
import type OpenAI from 'openai';

type Response = OpenAI.Responses.Response;
type Call = OpenAI.Responses.ResponseCodeInterpreterToolCall;
type Create = OpenAI.Responses.ResponseCreateParamsNonStreaming;

export const AUTO = { type: 'code_interpreter', container: { type: 'auto' } } as const;
export const OUTPUTS: OpenAI.Responses.ResponseIncludable[] = ['code_interpreter_call.outputs'];

export interface PythonRequest extends Partial<Omit<Create, 'model' | 'input' | 'tools'>> {
  readonly previous?: Response;
  /** An automatic one if not given. */
  readonly container?: OpenAI.Responses.Tool.CodeInterpreter['container'];
}

/** The body of a request that runs this program. */
export function pythonRequest(input: string, request: PythonRequest = {}): Create {
  const { previous, container, ...rest } = request;
  return {
    model: 'python',
    input,
    tools: [{ type: 'code_interpreter', container: container ?? { type: 'auto' } }],
    ...(previous === undefined ? {} : { previous_response_id: previous.id }),
    ...rest,
  };
}

export const runPython = (client: OpenAI, input: string, request: PythonRequest = {}): Promise<Response> =>
  client.responses.create(pythonRequest(input, request));

/** The call of the code interpreter in a response that has one. */
export function callOf(response: Pick<Response, 'output'>): Call {
  const call = response.output.find((item) => item.type === 'code_interpreter_call');
  if (!call) throw new Error(`there is no call in ${JSON.stringify(response)}`);
  return call as Call;
}

/** What the call printed. */
export const logsOf = (response: Pick<Response, 'output'>): string =>
  (callOf(response).outputs ?? []).map((output) => (output.type === 'logs' ? output.logs : '')).join('');
