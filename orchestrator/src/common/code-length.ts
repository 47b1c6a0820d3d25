/**
 * UTF-16 units of a program at most: the API refuses longer ones, and so does every sandbox. The
 * supervisor's own bound is three bytes for each (sandbox/supervisor/programs.py).
 */
export const MAX_CODE_CHARS = 10_485_760;
