/**
 * Responses that a client waits for and this process runs. Their leases are renewed, so that one whose
 * server died is told from one that runs; and when the server stops they have some seconds to end.
 */
import { Inject, Injectable, Logger } from '@nestjs/common';
import { ApiError } from '../common/api-error.js';
import { LeaseKeeper } from '../common/lease-keeper.js';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { QueuesLifecycle } from '../queues/queues.lifecycle.js';
import { ResponseEndRepository } from './response-end.repository.js';
import { ResponseLeaseRepository } from './response-lease.repository.js';
import type { ResponseObject } from './response.types.js';

/** Milliseconds that a run has to end by itself when the server stops; then it ends as failed. */
const LAST_MS = 10_000;

const ABANDONED = {
  code: 'server_error',
  message: 'The server was restarted while this response ran. Please send the request again.',
};

export interface WaitingRun {
  /** Ends the run: the client went away, the server stops, or somebody else has its conversation. */
  readonly signal: AbortSignal;
  /** Called when it has ended. */
  readonly end: () => void;
}

@Injectable()
export class WaitingRuns {
  private readonly logger = new Logger(WaitingRuns.name);
  private readonly running = new Map<string, AbortController>();
  private readonly keeper: LeaseKeeper<null>;

  constructor(
    private readonly leases: ResponseLeaseRepository,
    private readonly ends: ResponseEndRepository,
    lifecycle: QueuesLifecycle,
    @Inject(ENV) env: Env,
  ) {
    this.keeper = new LeaseKeeper({
      everyMs: (env.RESPONSE_LEASE_SECONDS * 1000) / 3,
      renew: (held) => this.leases.keepWaited([...held.keys()]),
      logger: this.logger,
      what: 'the lease of a response',
    });
    lifecycle.onStopping(() => {
      setTimeout(() => this.endAll(), LAST_MS).unref();
    });
  }

  begin(response: ResponseObject, ...signals: readonly AbortSignal[]): WaitingRun {
    const { id, store } = response;
    const own = new AbortController();
    const ended = () => own.abort(new ApiError('server_error', 'Another process ended this response.'));
    const leave = store ? this.keeper.keep(id, null, ended) : () => undefined;
    this.running.set(id, own);
    return {
      signal: AbortSignal.any([own.signal, ...signals]),
      end: () => {
        leave();
        this.running.delete(id);
      },
    };
  }

  /**
   * Ends responses that nobody runs any more: at boot (`all`) those of an earlier process, later those
   * whose end could not be written. Returns how many.
   */
  async failAbandoned(all = false): Promise<number> {
    const rows = await this.leases.abandonedWaited([...this.running.keys()], all);
    for (const row of rows) {
      const body = row.body as unknown as ResponseObject;
      await this.ends.end({ ...body, id: row.id, status: 'failed', error: ABANDONED, output: [] });
    }
    return rows.length;
  }

  private endAll(): void {
    const reason = new ApiError('server_error', 'The server is stopping. Please send the request again.', {
      status: 503,
    });
    for (const controller of this.running.values()) controller.abort(reason);
  }
}
