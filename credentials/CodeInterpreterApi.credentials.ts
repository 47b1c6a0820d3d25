import type {
  ICredentialDataDecryptedObject,
  ICredentialType,
  Icon,
  IHttpRequestOptions,
  INodeProperties,
} from 'n8n-workflow';

export class CodeInterpreterApi implements ICredentialType {
  name = 'codeInterpreterApi';

  displayName = 'Code Interpreter API';

  icon: Icon = {
    light: 'file:../nodes/icons/codeInterpreter.svg',
    dark: 'file:../nodes/icons/codeInterpreter.dark.svg',
  };

  documentationUrl =
    'https://github.com/code-interpreter-n8n/n8n-nodes-code-interpreter/blob/main/docs/n8n/install.md#credentials';

  properties: INodeProperties[] = [
    {
      displayName: 'Base URL',
      name: 'baseUrl',
      type: 'string',
      default: 'http://localhost:3000/v1',
      placeholder: 'e.g. https://interpreter.example.com/v1',
      required: true,
      description:
        'Address of your Code Interpreter server, ending in /v1. It must be reachable from n8n: inside Docker, localhost is the n8n container itself.',
    },
    {
      displayName: 'API Key',
      name: 'apiKey',
      type: 'string',
      typeOptions: { password: true },
      default: '',
      required: true,
      description:
        'Key of a project on the server. When it starts for the first time, the server prints the path of the file that holds the first one.',
    },
  ];

  /** A function, because n8n cannot evaluate an expression any more when a stopped execution is cleared up. */
  authenticate = async (
    credentials: ICredentialDataDecryptedObject,
    request: IHttpRequestOptions,
  ): Promise<IHttpRequestOptions> => ({
    ...request,
    headers: { ...request.headers, Authorization: `Bearer ${String(credentials.apiKey)}` },
  });
}
