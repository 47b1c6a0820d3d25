/**
 * Errors of the API, as a table of OpenAI's codes and ours (docs/contract/errors-and-headers.md).
 * `family` says who must act: the caller (fix the request), the operator (retryable, expected), or us.
 */
interface ErrorRow {
  readonly status: number;
  readonly type: 'invalid_request_error' | 'rate_limit_error' | 'server_error';
  readonly family: 'caller' | 'operational' | 'bug';
}

const caller = (status: number): ErrorRow => ({ status, type: 'invalid_request_error', family: 'caller' });

export type ErrorCode =
  | 'invalid_request'
  | 'invalid_json'
  | 'missing_required_parameter'
  | 'invalid_type'
  | 'invalid_value'
  | 'unknown_parameter'
  | 'unsupported_parameter'
  | 'unsupported_value'
  | 'integer_above_max_value'
  | 'integer_below_min_value'
  | 'decimal_above_max_value'
  | 'decimal_below_min_value'
  | 'string_above_max_length'
  | 'string_below_min_length'
  | 'array_above_max_length'
  | 'array_below_min_length'
  | 'object_above_max_properties'
  | 'mutually_exclusive_parameters'
  | 'previous_response_not_found'
  | 'conversation_locked'
  | 'context_length_exceeded'
  | 'invalid_function_parameters'
  | 'invalid_json_schema'
  | 'invalid_upload'
  | 'invalid_api_key'
  | 'permission_denied'
  | 'project_suspended'
  | 'links_disabled'
  | 'not_found'
  | 'file_not_found'
  | 'container_not_found'
  | 'container_file_not_found'
  | 'response_not_found'
  | 'execution_not_found'
  | 'model_not_found'
  | 'container_expired'
  | 'method_not_allowed'
  | 'unsupported_media_type'
  | 'request_timeout'
  | 'uri_too_long'
  | 'expectation_failed'
  | 'headers_too_large'
  | 'overloaded'
  | 'request_too_large'
  | 'file_too_large'
  | 'container_disk_full'
  | 'storage_quota_exceeded'
  | 'idempotency_key_reused'
  | 'idempotency_key_in_use'
  | 'idempotency_reply_not_kept'
  | 'webhook_url_refused'
  | 'webhook_endpoint_limit_reached'
  | 'link_limit_reached'
  | 'memory_pool_exhausted'
  | 'rate_limit_exceeded'
  | 'sandbox_capacity'
  | 'storage_full'
  | 'service_unavailable'
  | 'draining'
  | 'sandbox_failed'
  | 'model_failed'
  | 'server_error';

const TABLE: Record<ErrorCode, ErrorRow> = {
  invalid_request: caller(400),
  invalid_json: caller(400),
  missing_required_parameter: caller(400),
  invalid_type: caller(400),
  invalid_value: caller(400),
  unknown_parameter: caller(400),
  unsupported_parameter: caller(400),
  unsupported_value: caller(400),
  integer_above_max_value: caller(400),
  integer_below_min_value: caller(400),
  decimal_above_max_value: caller(400),
  decimal_below_min_value: caller(400),
  string_above_max_length: caller(400),
  string_below_min_length: caller(400),
  array_above_max_length: caller(400),
  array_below_min_length: caller(400),
  object_above_max_properties: caller(400),
  mutually_exclusive_parameters: caller(400),
  previous_response_not_found: caller(400),
  conversation_locked: caller(400),
  context_length_exceeded: caller(400),
  invalid_function_parameters: caller(400),
  invalid_json_schema: caller(400),
  invalid_upload: caller(400),
  invalid_api_key: caller(401),
  permission_denied: caller(403),
  project_suspended: caller(403),
  links_disabled: caller(403),
  not_found: caller(404),
  file_not_found: caller(404),
  container_not_found: caller(404),
  container_file_not_found: caller(404),
  response_not_found: caller(404),
  execution_not_found: caller(404),
  model_not_found: caller(404),
  container_expired: caller(404),
  method_not_allowed: caller(405),
  unsupported_media_type: caller(415),
  request_timeout: caller(408),
  uri_too_long: caller(414),
  expectation_failed: caller(417),
  headers_too_large: caller(431),
  overloaded: { status: 503, type: 'server_error', family: 'operational' },
  request_too_large: caller(413),
  file_too_large: caller(413),
  container_disk_full: caller(400),
  // The real service refuses with 400 as well, so that no client retries.
  storage_quota_exceeded: caller(400),
  idempotency_key_reused: caller(400),
  idempotency_key_in_use: caller(409),
  idempotency_reply_not_kept: caller(409),
  webhook_url_refused: caller(400),
  webhook_endpoint_limit_reached: caller(400),
  link_limit_reached: caller(400),
  memory_pool_exhausted: { status: 429, type: 'rate_limit_error', family: 'caller' },
  rate_limit_exceeded: { status: 429, type: 'rate_limit_error', family: 'caller' },
  sandbox_capacity: { status: 503, type: 'server_error', family: 'operational' },
  service_unavailable: { status: 503, type: 'server_error', family: 'operational' },
  storage_full: { status: 507, type: 'server_error', family: 'operational' },
  draining: { status: 503, type: 'server_error', family: 'operational' },
  sandbox_failed: { status: 500, type: 'server_error', family: 'operational' },
  model_failed: { status: 502, type: 'server_error', family: 'operational' },
  server_error: { status: 500, type: 'server_error', family: 'bug' },
};

/** Codes of ours that have no counterpart on the real service are sent as `null`. */
const WIRE_NULL: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'invalid_request',
  'invalid_json',
  'not_found',
  'file_not_found',
  'container_not_found',
  'container_file_not_found',
  'response_not_found',
  'execution_not_found',
]);

export interface ApiErrorOptions {
  readonly param?: string | null;
  /** Overrides the table's status for the few cases where the contract asks for another one. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** The body every failing request gets; all four keys are always there (docs/contract/errors-and-headers.md). */
export interface ErrorEnvelope {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

/** Thrown by services; turned into a reply by the exception filter alone. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly param: string | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    readonly code: ErrorCode,
    message: string,
    options: ApiErrorOptions = {},
  ) {
    super(message, { cause: options.cause });
    this.status = options.status ?? TABLE[code].status;
    this.param = options.param ?? null;
    this.headers = options.headers ?? {};
  }

  get family(): ErrorRow['family'] {
    return TABLE[this.code].family;
  }

  toEnvelope(): ErrorEnvelope {
    return {
      error: {
        message: this.message,
        type: TABLE[this.code].type,
        param: this.param,
        code: WIRE_NULL.has(this.code) ? null : this.code,
      },
    };
  }
}

/** Answers for things that are absent or belong to another project: the two look the same. */
export const notFound = {
  file: (id: string, param: string | null = 'id') =>
    new ApiError('file_not_found', `No such File object: ${id}`, { param }),
  container: (id: string) => new ApiError('container_not_found', `Container with id '${id}' not found.`),
  containerFile: (id: string) =>
    new ApiError('container_file_not_found', `Container file with id '${id}' not found.`),
  response: (id: string) => new ApiError('response_not_found', `Response with id '${id}' not found.`),
  execution: (id: string) => new ApiError('execution_not_found', `Execution with id '${id}' not found.`),
  upload: (id: string) => new ApiError('not_found', `Upload with id '${id}' not found.`),
  webhookEndpoint: (id: string) => new ApiError('not_found', `Webhook endpoint with id '${id}' not found.`),
  model: (id: string) =>
    new ApiError('model_not_found', `The model '${id}' does not exist.`, { param: 'model' }),
  cursor: () => new ApiError('not_found', 'Resource not found.', { param: 'after' }),
};
