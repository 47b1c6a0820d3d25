/** docs/compatibility.md as text, made of the tables that the compiler holds to the schemas. */
import { absentSection } from './compatibility-absent.js';
import { ENDPOINTS } from './compatibility-endpoints.js';
import {
  EVENTS,
  INCLUDES,
  INPUT_ITEMS,
  PARTS,
  REQUEST,
  RESPONSE,
  type Row,
  TOOLS,
} from './compatibility-tables.js';

const INTRO = `# Compatibility

<!-- Made by \`npm run docs\` from orchestrator/src/cli/compatibility-*.ts. Change those files. -->

What this server does with each part of OpenAI's API for responses with a code interpreter. **yes**: as OpenAI
does. **partly**: see the note. **no effect**: taken and of no consequence. **refused**: an error that names the
field. **ours**: an extension. A field of a request that is not in these tables is refused with
\`unknown_parameter\`; what items carry beside these is ignored, because clients send back what they were sent.
Null always equals absence. Each row is held to the code by the compiler, and
[108 checks](../test/unit/house/acceptance.test.ts) with the official clients hold the code to the rows.
`;

const CLIENTS = `## Clients

| Client | How it is tested |
| --- | --- |
| \`openai\` for JavaScript, 7 and 6 | every check |
| \`openai\` for Python, 3 | every check in which the client makes a difference |
| \`openai\` for JavaScript, 4 | uploads and deletes, whose bodies it writes differently |
| OpenAI Agents SDK, Vercel AI SDK, LangChain (\`useResponsesApi\`) | a run of the code interpreter, plain, streamed, and gone on with |
`;

const OTHERS = `## Yandex AI Studio and OCI Generative AI

Both offer the same API with differences; clients written for either work here.

| Where they differ | Yandex AI Studio | OCI Generative AI | Here |
| --- | --- | --- | --- |
| A produced file | the cited id is one of the Files API | is a container file | both: \`cfile_…\` ids answer under \`/v1/files/{id}\` and \`/v1/containers/…/files/{id}\` |
| Containers in automatic mode | new for a request, listed | made, or used again in the context | used again in a conversation, listed; with its files replaced when it has expired |
| Lifetime of a container | written \`expire_after\`, at most 20 minutes | 20 minutes idle | \`expires_after\` and \`expire_after\`, 1 to 20 minutes idle |
| Memory | not stated | 1g to 64g out of a pool of 64 GB for a tenancy | the same sizes; a pool for each project, 64 GB unless configured |
| Network from Python | none | none | none |
| Skills, network policies | none | not supported | refused with \`unsupported_parameter\` and \`unsupported_value\` |
| Name of the tool in prompts | | the python tool | the python tool |
| Container ids | \`container_id\` | long, with dots | \`cntr_…\`; ids of others are strings without meaning, and not found |
| Prefix of the API | \`/v1\` | \`/openai/v1\` | \`API_PREFIX\`, \`v1\` unless configured |
`;

const SECTIONS: readonly (readonly [
  title: string,
  head: string,
  rows: Readonly<Record<string, Row>>,
  text?: string,
])[] = [
  [
    'Endpoints',
    'Endpoint',
    ENDPOINTS,
    'Paths below the prefix. What we add is in [api/extensions.md](api/extensions.md). Other endpoints of OpenAI (chat completions, embeddings, vector stores, batches and so on) are not there: 404.',
  ],
  [
    'Fields of a request',
    'Field',
    REQUEST,
    '`POST /v1/responses`, within the [limits](api/limits.md). `POST /v1/responses/input_tokens` and `/compact` take those of OpenAI’s reference.',
  ],
  ['Tools', 'Type', TOOLS],
  ['Input items', 'Type', INPUT_ITEMS, 'Others are refused with `invalid_value`.'],
  ['Parts of a message', 'Type', PARTS, 'Others, such as `input_audio`, are refused with `invalid_value`.'],
  ['Values of include', 'Value', INCLUDES],
  ['Fields of a response', 'Field', RESPONSE, 'All are always there, but for `conversation`.'],
  [
    'Events of a stream',
    'Event',
    EVENTS,
    'In the order of OpenAI’s own streams, numbered without gaps, comments as keep-alive, no `[DONE]`. Events of tools that are not here are never sent, `error` neither: failures are `response.failed`.',
  ],
];

const cell = (text: string): string => text.replaceAll('|', '\\|');

function table(head: string, rows: Readonly<Record<string, Row>>): string {
  const lines = Object.entries(rows).map(
    ([key, [support, note]]) => `| \`${key}\` | ${support} | ${cell(note)} |`,
  );
  return [`| ${head} | | |`, '| --- | --- | --- |', ...lines, ''].join('\n');
}

export function compatibilityPage(): string {
  const sections = SECTIONS.map(([title, head, rows, text]) =>
    [`## ${title}\n`, ...(text === undefined ? [] : [`${text}\n`]), table(head, rows)].join('\n'),
  );
  return [INTRO, CLIENTS, ...sections, absentSection(), OTHERS].join('\n');
}
