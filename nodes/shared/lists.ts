/** Choices that the editor offers from the live server. */
import type { ILoadOptionsFunctions, INodeListSearchResult } from 'n8n-workflow';
import { listAll } from './pagination';
import { apiRequest } from './transport';
import type { ContainerObject, FileObject, ListObject } from './types';

const MOST = 500;

const matching = (result: INodeListSearchResult, filter?: string): INodeListSearchResult => ({
  results: result.results.filter(({ name }) => name.toLowerCase().includes((filter ?? '').toLowerCase())),
});

export async function getModels(
  this: ILoadOptionsFunctions,
  filter?: string,
): Promise<INodeListSearchResult> {
  const { data } = await apiRequest<ListObject<{ id: string }>>(this, { method: 'GET', path: '/models' });
  const results = data.map(({ id }) => ({
    name: id === 'python' ? 'python (runs the prompt as code, no language model)' : id,
    value: id,
  }));
  return matching({ results }, filter);
}

export async function getContainers(
  this: ILoadOptionsFunctions,
  filter?: string,
): Promise<INodeListSearchResult> {
  const containers = await listAll<ContainerObject>(this, '/containers', MOST);
  const running = containers.filter(({ status }) => status === 'running');
  return matching(
    { results: running.map(({ id, name }) => ({ name: `${name} (${id.slice(0, 13)}…)`, value: id })) },
    filter,
  );
}

export async function getFiles(this: ILoadOptionsFunctions, filter?: string): Promise<INodeListSearchResult> {
  const files = await listAll<FileObject>(this, '/files', MOST);
  return matching(
    { results: files.map(({ id, filename }) => ({ name: `${filename} (${id.slice(0, 13)}…)`, value: id })) },
    filter,
  );
}
