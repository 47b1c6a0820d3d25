import { ApiError } from '../../common/api-error.js';

/** A model in a request body that does not exist: 400, where a path would be 404 (docs/contract/models.md). */
export const unknownModel = (id: string): ApiError =>
  new ApiError(
    'model_not_found',
    id === 'default'
      ? "No model stands behind 'default' on this server. Name one of GET /v1/models, or have MODEL_DEFAULT set to one of them."
      : `The requested model '${id}' does not exist.`,
    { param: 'model', status: 400 },
  );
