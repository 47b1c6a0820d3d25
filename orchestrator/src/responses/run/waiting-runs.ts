/**
 * Responses that a client waits for and this process runs. Their leases are renewed, so that one whose
 * server died is told from one that runs; and when the server stops they have some seconds to end.
 */
import { Inject, Injectable, Logger } from '@nestjs/common';
import { LeaseKeeper, renewalMs } from '../../common/lease-keeper.js';
import { ENV } from '../../config/config.module.js';
import type { Env } from '../../config/env.schema.js';
import { QueuesLifecycle } from '../../queues/queues.lifecycle.js';
import { ResponseEndRepository } from '../record/response-end.repository.js';
import { ResponseLeaseRepository } from '../record/response-lease.repository.js';
import type { ResponseObject } from '../response.types.js';
import { RunEnded } from './run-ended.js';

/** Milliseconds that a run has to end by itself when the server stops; then it ends as failed. */
const LAST_MS = 10_000;

const ABANDONED = {
  code: 'server_error',
  message: 'The server was restarted while this response ran. Please send the request again.',
};

const STOPPING = 'The server is stopping. Please send the request again.';
const TAKEN = 'The server lost hold of this response. Please send the request again.';

export interface WaitingRun {
  /** Ends the run: the client went away, the server stops, or `fail` was called. */
  readonly signal: AbortSignal;
  /** Ends it as failed, with a sentence for the caller. */
  readonly fail: (message: string) => void;
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
      everyMs: renewalMs(env.RESPONSE_LEASE_SECONDS),
      renew: (held) => this.leases.keepWaited([...held.keys()]),
      logger: this.logger,
      what: 'the lease of a response',
    });
    lifecycle.stopping.on(() => {
      setTimeout(() => this.endAll(), LAST_MS).unref();
    });
  }

  /** `gone`: the client went away. */
  begin({ id, store }: ResponseObject, gone: AbortSignal): WaitingRun {
    const own = new AbortController();
    const fail = (message: string) => own.abort(new RunEnded(message));
    const leave = store ? this.keeper.keep(id, null, () => fail(TAKEN)) : () => undefined;
    this.running.set(id, own);
    return {
      signal: AbortSignal.any([own.signal, gone]),
      fail,
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
    for (const controller of this.running.values()) controller.abort(new RunEnded(STOPPING));
  }
}
