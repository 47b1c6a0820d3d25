import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { retry } from '../common/retry.js';
import { isDatabaseOutage } from '../common/database-errors.js';

/** Attempts after which the log is told once more, so that it does not fill while the database is away. */
const LOG_EVERY = 10;

/** Writes of what code left behind: they outlast an outage of the database, for as long as the process lives. */
@Injectable()
export class Persistence implements OnApplicationShutdown {
  private readonly logger = new Logger(Persistence.name);
  private readonly end = new AbortController();

  /** Tries again while the database is away; every other failure is the caller's. */
  untilStored<T>(work: () => Promise<T>): Promise<T> {
    return retry(work, {
      isFinal: (error) => !isDatabaseOutage(error),
      signal: this.end.signal,
      onFailure: (error, attempt) => {
        if (attempt % LOG_EVERY === 1)
          this.logger.warn({ err: error, attempt }, 'the database is away; what code left waits for it');
      },
    });
  }

  onApplicationShutdown(): void {
    this.end.abort();
  }
}
