// One generation with the Vercel AI SDK: plain, then as a stream. Prints what came out as JSON.
import { createOpenAI } from '@ai-sdk/openai';
import { generateText, streamText } from 'ai';

const openai = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL, apiKey: process.env.OPENAI_API_KEY });
const request = {
  model: openai.responses(process.env.MODEL),
  prompt: process.env.PROMPT,
  tools: { code_interpreter: openai.tools.codeInterpreter({}) },
  maxRetries: 0,
};

const callsOf = (content) =>
  content.filter(({ type }) => type === 'tool-call').map(({ toolName, input }) => ({ toolName, input }));
const resultsOf = (content) =>
  content.filter(({ type }) => type === 'tool-result').map(({ output }) => output);
const sourcesOf = (content) =>
  content.filter(({ type }) => type === 'source').map(({ filename, title }) => filename ?? title);

const plain = await generateText(request);
const stream = streamText({
  ...request,
  onError: ({ error }) => {
    throw error;
  },
});
let text = '';
for await (const delta of stream.textStream) text += delta;
const content = await stream.content;
const next = await generateText({
  ...request,
  prompt: process.env.FOLLOW_UP,
  providerOptions: { openai: { previousResponseId: plain.providerMetadata.openai.responseId } },
});

process.stdout.write(
  JSON.stringify({
    text: plain.text,
    calls: callsOf(plain.content),
    results: resultsOf(plain.content),
    sources: sourcesOf(plain.content),
    streamed: { text, calls: callsOf(content), results: resultsOf(content), sources: sourcesOf(content) },
    next: { text: next.text },
    usage: plain.usage,
  }),
);
