/** Responses: what goes to the server, and what comes out of the node. */
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { Responses } from '../../../nodes/Responses/Responses.node.js';
import { fakeContext, runNode } from './context.js';
import { Endpoint, execution, raised } from './endpoint.js';

const endpoint = new Endpoint();
beforeAll(() => endpoint.start());
afterAll(() => endpoint.stop());
beforeEach(() => endpoint.forget());

describe('Responses', () => {
  const response = (status: string) => ({ id: 'resp_1', status, model: 'm', output: [], error: null });
  const parameters = { model: { mode: 'id', value: 'm' }, prompt: 'p' };

  it('are polled until they end', async () => {
    endpoint.answers['POST /responses'] = response('queued');
    endpoint.answers['GET /responses/resp_1'] = [response('in_progress'), response('completed')];
    const { output } = await runNode(new Responses(), endpoint.at({ parameters }));
    expect(endpoint.json(0)).toMatchObject({
      model: 'm',
      input: 'p',
      background: true,
      tools: [{ type: 'code_interpreter', container: { type: 'auto' } }],
    });
    expect(output[0]?.json).toMatchObject({ id: 'resp_1', status: 'completed' });
  });

  const failed = { ...response('failed'), error: { code: 'server_error', message: 'no model' } };
  const cutOff = { ...response('incomplete'), incomplete_details: { reason: 'max_output_tokens' } };

  it.each([
    [failed, 'The response failed: no model [item 0]', /'Model'/],
    [cutOff, 'The answer was cut off before its end [item 0]', /'Max Output Tokens'/],
    [response('cancelled'), 'The response was cancelled [item 0]', /resp_1/],
  ])('that are no success stop the workflow and say why (%#)', async (answer, message, description) => {
    endpoint.answers['POST /responses'] = answer;
    await expect(runNode(new Responses(), endpoint.at({ parameters }))).rejects.toMatchObject({
      message,
      description: expect.stringMatching(description) as string,
    });
  });

  it.each([failed, cutOff, response('cancelled')])(
    'that are no success come out with their status if asked to, and for an agent (%#)',
    async (answer) => {
      endpoint.answers['POST /responses'] = answer;
      const asked = { ...parameters, options: { onCodeError: 'continue' } };
      const { output } = await runNode(new Responses(), endpoint.at({ parameters: asked }));
      expect(output[0]?.json['status']).toBe(answer.status);
      const agent = await runNode(new Responses(), endpoint.at({ parameters, asTool: true }));
      expect(agent.output[0]?.json['status']).toBe(answer.status);
    },
  );

  it('give up at the time limit and tell how to go on', async () => {
    endpoint.answers['POST /responses'] = response('queued');
    endpoint.answers['GET /responses/resp_1'] = response('in_progress');
    const short = { ...parameters, options: { timeout: 0.4 } };
    await expect(runNode(new Responses(), endpoint.at({ parameters: short }))).rejects.toMatchObject({
      description: expect.stringContaining('Wait for Completion') as string,
    });
  });

  it('release the execution and name where to call back', async () => {
    endpoint.answers['POST /responses'] = response('queued');
    const released = { ...parameters, runMode: 'callback' };
    const { context } = await runNode(new Responses(), endpoint.at({ parameters: released }));
    expect(endpoint.json(0)).toMatchObject({
      callback_url: 'http://n8n.test/webhook-waiting/run',
      background: true,
    });
    expect(context.waits).toHaveLength(1);
    // What n8n hands on when nobody calls back in time is what came in.
    expect(context.getInputData()[0]).toMatchObject({
      json: { id: 'resp_1', response_id: 'resp_1', status: 'timed_out' },
    });
    const two = { parameters: released, items: [{ json: {} }, { json: {} }] };
    await expect(runNode(new Responses(), endpoint.at(two))).rejects.toThrow("'Run Mode' takes one item");
  });

  it('carry files, session and options', async () => {
    endpoint.answers['POST /files'] = { id: 'file-9' };
    endpoint.answers['POST /responses'] = response('completed');
    await runNode(
      new Responses(),
      endpoint.at({
        items: [{ json: {}, binary: { data: { data: 'YQ==', mimeType: 'text/csv', fileName: 'a.csv' } } }],
        parameters: {
          ...parameters,
          inputFiles: 'data, file-7',
          container: 'session',
          session: 'custom',
          sessionKey: 'k',
          options: { memory: '4g', jsonSchema: '{"type":"object"}', previousResponseId: 'resp_0' },
        },
      }),
    );
    expect(endpoint.json(1)).toMatchObject({
      previous_response_id: 'resp_0',
      text: { format: { type: 'json_schema', name: 'output', schema: { type: 'object' } } },
      tools: [
        {
          container: {
            type: 'auto',
            file_ids: ['file-7', 'file-9'],
            memory_limit: '4g',
            session_key: 'n8n:instance:custom:k',
          },
        },
      ],
    });
  });
});

describe('Responses that ran code', () => {
  const cite = (file_id: string, filename: string) => ({
    type: 'container_file_citation',
    container_id: 'cntr_1',
    file_id,
    filename,
  });
  const ran = (model: string, text: string, annotations: object[] = []) => ({
    id: 'resp_1',
    status: 'completed',
    model,
    error: null,
    output: [
      { type: 'code_interpreter_call', status: 'completed', code: 'x', container_id: 'cntr_1', outputs: [] },
      { type: 'message', content: [{ type: 'output_text', text, annotations }] },
    ],
  });
  const RUNS = 'GET /containers/cntr_1/executions';
  const EXPIRE = 'POST /containers/cntr_1/expire';
  const ask = async (parameters: object, more: object = {}) =>
    runNode(
      new Responses(),
      endpoint.at({ parameters: { model: { mode: 'id', value: 'm' }, prompt: 'p', ...parameters }, ...more }),
    );
  beforeEach(() => {
    endpoint.answers[EXPIRE] = { id: 'cntr_1', status: 'expired' };
  });

  it('with the model python have failed when their code raised', async () => {
    endpoint.answers['POST /responses'] = ran('python', 'Traceback …');
    endpoint.answers[RUNS] = { data: [execution(), raised('ZeroDivisionError', 'division by zero')] };
    await expect(ask({})).rejects.toThrow('ZeroDivisionError: division by zero [item 0]');
    expect(endpoint.asked.at(1)?.path).toContain('response_id=resp_1');
    const { output } = await ask({ options: { onCodeError: 'continue' } });
    expect(output[0]?.json).toMatchObject({
      status: 'failed',
      error: { name: 'ZeroDivisionError', message: 'division by zero' },
    });
    const whole = await ask({ simplify: false, options: { onCodeError: 'continue' } });
    expect(whole.output[0]?.json).toMatchObject({ status: 'failed', error: { name: 'ZeroDivisionError' } });
  });

  it('with the model python and a question in English are told which model to choose', async () => {
    endpoint.answers['POST /responses'] = ran('python', 'Traceback …');
    endpoint.answers[RUNS] = { data: [raised('SyntaxError', 'invalid syntax')] };
    await expect(ask({})).rejects.toMatchObject({
      description: expect.stringContaining('choose a language model') as string,
    });
  });

  it('of a language model are asked for their runs only where there are figures', async () => {
    endpoint.answers['POST /responses'] = ran('m', 'done', [cite('cfile_1', 'a.csv')]);
    endpoint.answers['GET /containers/cntr_1/files/cfile_1/content'] = Buffer.from('a');
    await ask({});
    expect(endpoint.routes).not.toContain(RUNS);
  });

  it('name figures by their title, once each', async () => {
    const annotations = [
      cite('cfile_1', 'cfile_0a.png'),
      cite('cfile_2', 'cfile_0b.png'),
      cite('cfile_3', 'weekly.png'),
    ];
    endpoint.answers['POST /responses'] = ran('m', 'done', annotations);
    const image = { type: 'image', mime_type: 'image/png', bytes: 1 };
    endpoint.answers[RUNS] = {
      data: [
        execution({
          outputs: [
            { ...image, file_id: 'cfile_1', saved_as: '/mnt/data/weekly.png' },
            { ...image, file_id: 'cfile_2', title: 'Sales' },
          ],
          files: [{ id: 'cfile_3', path: '/mnt/data/weekly.png', bytes: 1, change: 'created' }],
        }),
      ],
    };
    for (const id of ['cfile_2', 'cfile_3'])
      endpoint.answers[`GET /containers/cntr_1/files/${id}/content`] = Buffer.from(id);
    const { output } = await ask({});
    expect(Object.values(output[0]?.binary ?? {}).map(({ fileName }) => fileName)).toEqual([
      'Sales.png',
      'weekly.png',
    ]);
  });

  it('leave no dead links in their text', async () => {
    const text =
      'See [the chart (1)](sandbox:/mnt/data/chart (1).png) and sandbox:/mnt/data/a.csv.\n![x](sandbox:/y)';
    endpoint.answers['POST /responses'] = ran('m', text);
    const { output } = await ask({});
    expect(output[0]?.json['output_text']).toBe('See the chart (1) and a.csv.\nx');
  });

  it('free their new container when the execution ends, also when they fail, unless it is kept or the chat goes on', async () => {
    const frees = async (parameters: object): Promise<boolean> => {
      endpoint.asked.length = 0;
      endpoint.answers['POST /responses'] = { ...ran('m', 'done'), ...parameters };
      const all = { model: { mode: 'id', value: 'm' }, prompt: 'p', ...parameters };
      const context = fakeContext(new Responses(), endpoint.at({ parameters: all }));
      await new Responses().execute.call(context).catch(() => undefined);
      expect(endpoint.routes).not.toContain(EXPIRE);
      for (const finish of context.finishHandlers) await finish();
      return endpoint.routes.includes(EXPIRE);
    };
    expect(await frees({})).toBe(true);
    expect(await frees({ status: 'failed', error: { message: 'no' } })).toBe(true);
    expect(await frees({ options: { keepContainer: true } })).toBe(false);
    expect(await frees({ options: { previousResponseId: 'resp_0' } })).toBe(false);
    expect(await frees({ options: { conversation: 'conv_0' } })).toBe(false);
    expect(await frees({ container: 'session' })).toBe(false);
  });

  it('free it at once where there are many of them', async () => {
    endpoint.answers['POST /responses'] = ran('m', 'done');
    const { context } = await ask({}, { items: [{ json: {} }, { json: {} }] });
    expect(endpoint.routes.filter((route) => route === EXPIRE)).toHaveLength(2);
    expect(context.finishHandlers).toEqual([]);
  });

  it('free it after Stop, too', async () => {
    const running = { ...ran('m', ''), status: 'in_progress' };
    endpoint.answers['POST /responses'] = running;
    endpoint.answers['GET /responses/resp_1'] = [running, running, ran('m', 'done')];
    endpoint.answers['POST /responses/resp_1/cancel'] = { ...ran('m', ''), status: 'cancelled' };
    const context = fakeContext(
      new Responses(),
      endpoint.at({ parameters: { model: { mode: 'id', value: 'm' }, prompt: 'p' } }),
    );
    const over = new Responses().execute.call(context);
    await vi.waitFor(() => expect(context.stopHandlers).toHaveLength(1));
    await context.stopHandlers[0]!();
    expect(endpoint.routes).toContain('POST /responses/resp_1/cancel');
    expect(endpoint.routes).toContain(EXPIRE);
    await over;
  });
});
