/** Choices that the editor offers from the live server. */
import type { ILoadOptionsFunctions, INodeListSearchResult } from 'n8n-workflow';
import { listAll } from './pagination';
import { apiRequest } from './transport';
import type { ContainerObject, FileObject, ListObject } from './types';

const MOST = 500;

/** What two names of the server mean to a person. */
const MODEL_NAMES: Readonly<Record<string, string>> = {
  default: 'Default of the Server',
  python: 'python (runs the prompt as code, no language model)',
};

const matching = (result: INodeListSearchResult, filter?: string): INodeListSearchResult => ({
  results: result.results.filter(({ name }) => name.toLowerCase().includes((filter ?? '').toLowerCase())),
});

export async function getModels(
  this: ILoadOptionsFunctions,
  filter?: string,
): Promise<INodeListSearchResult> {
  const { data } = await apiRequest<ListObject<{ id: string }>>(this, { method: 'GET', path: '/models' });
  const results = data.map(({ id }) => ({ name: MODEL_NAMES[id] ?? id, value: id }));
  // What most people want, first.
  results.sort((a, b) => Number(b.value === 'default') - Number(a.value === 'default'));
  return matching({ results }, filter);
}

export async function getContainers(
  this: ILoadOptionsFunctions,
  filter?: string,
): Promise<INodeListSearchResult> {
  const containers = await listAll<ContainerObject>(this, '/containers', MOST);
  const running = containers.filter(({ status }) => status === 'running');
  const results = running.map(({ id, name, created_at: at }) => ({
    name: `${name}, ${timeOf(this, at)} (${id.slice(-6)})`,
    value: id,
  }));
  return matching({ results }, filter);
}

export async function getFiles(this: ILoadOptionsFunctions, filter?: string): Promise<INodeListSearchResult> {
  const files = await listAll<FileObject>(this, '/files', MOST);
  return matching(
    {
      results: files.map(({ id, filename, created_at: at }) => ({
        name: `${filename}, ${timeOf(this, at)} (${id.slice(-6)})`,
        value: id,
      })),
    },
    filter,
  );
}

/** `28 Nov, 12:05` in the time zone of n8n; many things have the name of their workflow. */
const timeOf = (context: ILoadOptionsFunctions, seconds: number): string =>
  new Date(seconds * 1000).toLocaleString('en-GB', {
    timeZone: context.getTimezone(),
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
  });
