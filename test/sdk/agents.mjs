// One run of an agent with the OpenAI Agents SDK: plain, then as a stream. Prints what came out as JSON.
import {
  Agent,
  codeInterpreterTool,
  run,
  setDefaultOpenAIClient,
  setOpenAIAPI,
  setTracingDisabled,
} from '@openai/agents';
import OpenAI from 'openai';

setDefaultOpenAIClient(new OpenAI({ maxRetries: 0 }));
setOpenAIAPI('responses');
setTracingDisabled(true);

const agent = new Agent({
  name: 'Analyst',
  instructions: 'Use the python tool.',
  model: process.env.MODEL,
  tools: [codeInterpreterTool({ container: { type: 'auto' } })],
});

const callsOf = (result) =>
  result.newItems.flatMap(({ rawItem }) =>
    rawItem.type === 'hosted_tool_call' ? [{ name: rawItem.name, ...rawItem.providerData }] : [],
  );

const plain = await run(agent, process.env.PROMPT);
const streamed = await run(agent, process.env.PROMPT, { stream: true });
let text = '';
for await (const event of streamed) {
  if (event.type === 'raw_model_stream_event' && event.data.type === 'output_text_delta')
    text += event.data.delta;
}
await streamed.completed;
// The history of a run, with the call in it, is the input of the next one.
const next = await run(agent, [...plain.history, { role: 'user', content: process.env.FOLLOW_UP }]);

process.stdout.write(
  JSON.stringify({
    text: plain.finalOutput,
    calls: callsOf(plain),
    streamed: { text, final: streamed.finalOutput, calls: callsOf(streamed) },
    next: { text: next.finalOutput, calls: callsOf(next) },
  }),
);
