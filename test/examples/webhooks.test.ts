/** docs/webhooks.md: registered, received and verified as it stands there, in both languages. */
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { useProject } from '../support/project.js';
import { blockOf } from './documents.js';
import { pythonClient, Workplace } from './workplace.js';

const project = useProject();
const DOCUMENT = 'docs/webhooks.md';
const WAIT = 'for _ in $(seq 600); do grep -q . received && break; sleep 0.1; done';

async function freePort(): Promise<string> {
  const probe = createServer();
  await new Promise<void>((done) => void probe.listen(0, '127.0.0.1', done));
  const { port } = probe.address() as { port: number };
  await new Promise((done) => void probe.close(done));
  return String(port);
}

/** Registers, starts the receiver, makes a response, and shows what the receiver printed. */
function story(receiver: string, start: string, port: string): string {
  const script = [
    blockOf('README.md', 'environment').text,
    `registered=$(${blockOf(DOCUMENT, 'register.sh').text.trim()})`,
    `export OPENAI_WEBHOOK_SECRET=$(node -p 'JSON.parse(process.argv[1]).signing_secret' "$registered")`,
    `cat > receive <<'END'\n${blockOf(DOCUMENT, receiver).text}END`,
    `mv receive ${receiver}`,
    `${start} ${receiver} > received 2> complaints & receiver=$!`,
    'trap "kill $receiver" EXIT',
    `for _ in $(seq 600); do (exec 3<>/dev/tcp/127.0.0.1/4000) 2>/dev/null && break; sleep 0.1; done`,
    `forged=$(curl -s -o /dev/null -w '%{http_code}' -d '{}' -H 'webhook-id: wh_1' -H 'webhook-timestamp: 1' -H 'webhook-signature: v1,AAAA' http://127.0.0.1:4000/)`,
    `curl -s "$OPENAI_BASE_URL/responses" -H "Authorization: Bearer $OPENAI_API_KEY" -H 'Content-Type: application/json' -d '{"model":"python","input":"print(6*7)","tools":[{"type":"code_interpreter","container":{"type":"auto"}}]}' > /dev/null`,
    WAIT,
    'echo "forged: $forged"; cat received; cat complaints >&2',
  ].join('\n');
  return script.replaceAll('4000', port);
}

describe('a reader of docs/webhooks.md', () => {
  let place: Workplace;
  beforeAll(() => {
    place = new Workplace(project);
  });
  afterAll(() => place.remove());

  it.each([
    ['JavaScript', 'receive.mjs', () => 'node'],
    ['Python', 'receive.py', () => pythonClient()],
  ])('is called back in %s, and by nobody who forges it', async (_, receiver, start) => {
    const printed = await place.run(story(receiver, start(), await freePort()));
    expect(printed).toMatch(/^forged: 400\n/);
    expect(printed).toContain('42');
  });
});
