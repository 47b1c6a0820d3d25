/** Things the admin API does not find. */
import { ApiError, notFound } from '../common/api-error.js';

const absent = (what: string, id: string): ApiError =>
  new ApiError('not_found', `${what} with id '${id}' not found.`);

export const notFoundHere = {
  project: (id: string) => absent('Project', id),
  key: (id: string) => absent('API key', id),
  container: notFound.container,
  execution: notFound.execution,
  cursor: notFound.cursor,
};
