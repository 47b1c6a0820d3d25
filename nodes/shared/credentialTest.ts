/** Tests a credential, and names the cure where it does not work. Every node offers it, as `testedBy` wants it. */
import type {
  ICredentialTestFunctions,
  ICredentialsDecrypted,
  INodeCredentialTestResult,
} from 'n8n-workflow';
import { BASE_URL, BY_PROXY, describeConnectionError } from './errors';

const TIMEOUT_MS = 20_000;
const LOOPBACK = /^https?:\/\/(localhost|127\.[\d.]+|\[::1\])([:/]|$)/i;
const LOCALHOST =
  "If n8n runs in Docker, localhost is n8n's own container: use http://host.docker.internal:3000/v1, or the name of the server's container.";

interface Reply {
  statusCode: number;
  body: unknown;
}

type Ask = (address: string) => Promise<Reply>;

const failed = (message: string): INodeCredentialTestResult => ({ status: 'Error', message });

export async function codeInterpreterApiTest(
  this: ICredentialTestFunctions,
  credential: ICredentialsDecrypted,
): Promise<INodeCredentialTestResult> {
  const { baseUrl, apiKey } = (credential.data ?? {}) as { baseUrl?: unknown; apiKey?: unknown };
  const address = String(baseUrl ?? '')
    .trim()
    .replace(/\/+$/, '');
  const key = String(apiKey ?? '').trim();
  if (!/^https?:\/\/[^/]/i.test(address)) {
    return failed("'Base URL' is not an address. Enter one such as http://localhost:3000/v1.");
  }
  if (key === '') return failed("'API Key' is empty. Enter the key of a project on the server.");
  const { helpers } = this;
  const ask: Ask = async (url) =>
    (await helpers.request({
      method: 'GET',
      uri: url,
      headers: { Authorization: `Bearer ${key}` },
      json: true,
      simple: false,
      resolveWithFullResponse: true,
      timeout: TIMEOUT_MS,
    })) as Reply;
  try {
    return await verdict(ask, address);
  } catch (error) {
    const { message, description } = describeConnectionError(error, address);
    return failed(`${message}. ${description}${LOOPBACK.test(address) ? ` ${LOCALHOST}` : ''}`);
  }
}

async function verdict(ask: Ask, address: string): Promise<INodeCredentialTestResult> {
  const reply = await ask(`${address}/environment`);
  if (isOurs(reply)) return { status: 'OK', message: 'Connection successful' };
  if (isRefusal(reply)) return failed(await refusal(ask, address));
  const proxy = BY_PROXY[reply.statusCode];
  if (proxy !== undefined) return failed(`The address answered with status ${reply.statusCode}. ${proxy}`);
  const below = await ask(`${address}/v1/environment`);
  if (isOurs(below) || isRefusal(below)) {
    return failed(`'Base URL' lacks the prefix of the API. Enter ${address}/v1.`);
  }
  return failed(`Something else answers at ${address} (status ${reply.statusCode}). ${BASE_URL}`);
}

/** What only this server has: the packages of its containers. */
const isOurs = ({ statusCode, body }: Reply): boolean =>
  statusCode === 200 && (body as { object?: unknown } | null)?.object === 'environment';

const isRefusal = ({ statusCode, body }: Reply): boolean =>
  statusCode === 401 && typeof (body as { error?: { code?: unknown } } | null)?.error?.code === 'string';

async function refusal(ask: Ask, address: string): Promise<string> {
  const { statusCode } = await ask(`${address.replace(/\/v1$/, '')}/admin/v1/pool`);
  if (statusCode === 200) {
    return "This is the admin key of the server. Enter the key of a project in 'API Key'.";
  }
  return "The server does not accept the key in 'API Key'. Enter the key of a project: the server prints the path of the file with the first one when it starts for the first time.";
}
