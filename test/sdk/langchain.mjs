// One call of LangChain's ChatOpenAI over the Responses API: plain, then as a stream. Prints what came out as JSON.
import { HumanMessage } from '@langchain/core/messages';
import { ChatOpenAI } from '@langchain/openai';

const model = new ChatOpenAI({
  model: process.env.MODEL,
  apiKey: process.env.OPENAI_API_KEY,
  useResponsesApi: true,
  maxRetries: 0,
  configuration: { baseURL: process.env.OPENAI_BASE_URL },
}).bindTools([{ type: 'code_interpreter', container: { type: 'auto' } }]);

const callsOf = (message) =>
  (message.additional_kwargs.tool_outputs ?? []).filter(({ type }) => type === 'code_interpreter_call');
const annotationsOf = (message) =>
  Array.isArray(message.content) ? message.content.flatMap(({ annotations }) => annotations ?? []) : [];

const first = new HumanMessage(process.env.PROMPT);
const plain = await model.invoke([first]);
let streamed;
for await (const chunk of await model.stream([first]))
  streamed = streamed === undefined ? chunk : streamed.concat(chunk);
const next = await model.invoke([first, plain, new HumanMessage(process.env.FOLLOW_UP)]);

process.stdout.write(
  JSON.stringify({
    text: plain.text,
    calls: callsOf(plain),
    annotations: annotationsOf(plain),
    usage: plain.usage_metadata,
    streamed: { text: streamed.text },
    next: { text: next.text, calls: callsOf(next) },
  }),
);
