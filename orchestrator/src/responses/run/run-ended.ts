/** Why a run was ended from outside, in words for the caller; the reason of its abort signal. Any other reason is a cancellation. */
export class RunEnded extends Error {
  override readonly name = 'RunEnded';
}
