/** What an execution says beside the output of its code: one sentence each, with a code for programs. */
import { storableText, truncate } from '../common/text.js';
import type { LeftFile, LeftReason } from './import-plan.js';

export interface Notice {
  readonly code: string;
  readonly message: string;
}

/** Files that a notice names; the rest it counts. */
const NAMED = 5;
const NAME_CHARACTERS = 200;

export const STATE_LOST: Notice = {
  code: 'state_lost',
  message:
    'The sandbox of this container was replaced: variables and imports are lost, files in /mnt/data are kept.',
};

export const UNREADABLE_VALUE: Notice = {
  code: 'value_dropped',
  message: 'The value was not returned. What the sandbox sent is not JSON that can be kept.',
};

export const SERVER_RESTARTED: Notice = {
  code: 'server_restarted',
  message: 'The server was restarted while this code ran. Files in /mnt/data are kept; run it again.',
};

export const EXECUTION_NOT_STORED: Notice = {
  code: 'execution_not_stored',
  message: 'The end of this execution could not be stored, and files may be missing; please run it again.',
};

/** By reason: why, and what becomes of it. */
const WHY: Record<LeftReason, string> = {
  changing: 'it changed while it was copied; the next execution stores it',
  no_room: 'the files of this container may take no more than its disk holds; delete some and write it again',
  over_quota: 'the storage quota of this project is used up; delete files, and the next execution stores it',
  storage_full: 'the server has no room for it at the moment; it is stored as soon as there is',
  out_of_time: 'there are too many files, or too large ones, to store at once; the rest follows',
  failed: 'an error of the server; it is tried again',
};

function listed(paths: readonly string[]): string {
  const named = paths.slice(0, NAMED).map((path) => truncate(storableText(path), NAME_CHARACTERS));
  const more = paths.length - named.length;
  return more > 0 ? `${named.join(', ')} and ${more} more` : named.join(', ');
}

/** Files that the code wrote and that are not stored (yet). */
export function leftNotice(left: readonly LeftFile[]): Notice {
  const reasons = [...new Set(left.map(({ reason }) => reason))];
  const sentences = reasons.map((reason) => {
    const paths = left.filter((file) => file.reason === reason).map(({ path }) => path);
    return `Not stored: ${listed(paths)} (${WHY[reason]}).`;
  });
  return { code: 'files_not_stored', message: sentences.join(' ') };
}

/** Files of the container that its fresh sandbox has no room for. */
export const missingNotice = (paths: readonly string[]): Notice => ({
  code: 'files_missing',
  message: `The disk of this container has no room for ${listed(paths)}; they can still be downloaded. Delete files of the container to have them back.`,
});
