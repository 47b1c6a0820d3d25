import { createReadStream, readFileSync, writeFileSync } from 'node:fs';
import OpenAI from 'openai';

const client = new OpenAI(); // takes OPENAI_BASE_URL and OPENAI_API_KEY from the environment

const file = await client.files.create({
  file: createReadStream('data/birdstrikes.csv'),
  purpose: 'user_data',
});
const response = await client.responses.create({
  model: 'python',
  tools: [{ type: 'code_interpreter', container: { type: 'auto', file_ids: [file.id] } }],
  input: readFileSync('analysis.py', 'utf8'),
});
console.log(response.output_text);

const message = response.output.find((item) => item.type === 'message');
for (const { container_id, file_id, filename } of message.content[0].annotations) {
  const content = await client.containers.files.content.retrieve(file_id, { container_id });
  writeFileSync(filename, Buffer.from(await content.arrayBuffer()));
}
