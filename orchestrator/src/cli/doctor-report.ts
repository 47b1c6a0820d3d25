/** What the doctor found, and the table it prints. */

/** `off`: does not run now, and nothing is wrong with that. `note`: works, and could be better. */
export type State = 'ok' | 'off' | 'note' | 'problem';

export interface Finding {
  readonly name: string;
  readonly state: State;
  /** One sentence. */
  readonly says: string;
  /** The command that repairs a problem, starts what is off, or makes it better. */
  readonly repair?: string;
}

export const ok = (name: string, says: string): Finding => ({ name, state: 'ok', says });

export const off = (name: string, says: string, repair: string): Finding => ({
  name,
  state: 'off',
  says,
  repair,
});

export const note = (name: string, says: string, repair: string): Finding => ({
  name,
  state: 'note',
  says,
  repair,
});

export const problem = (name: string, says: string, repair: string): Finding => ({
  name,
  state: 'problem',
  says,
  repair,
});

/** A check that fails in a way it did not foresee is a finding too. */
export async function guarded(
  name: string,
  repair: string,
  check: () => Promise<Finding[]>,
): Promise<Finding[]> {
  try {
    return await check();
  } catch (error) {
    return [problem(name, error instanceof Error ? error.message : String(error), repair)];
  }
}

export function formatReport(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const lines = findings.flatMap(({ name, state, says, repair }) => [
    `${state.padEnd(8)} ${name.padEnd(width)}  ${says}`,
    ...(repair === undefined || state === 'ok' ? [] : [`${' '.repeat(width + 11)}→ ${repair}`]),
  ]);
  const problems = findings.filter(({ state }) => state === 'problem').length;
  const verdict =
    problems === 0
      ? 'Nothing is wrong.'
      : `${problems} problem${problems === 1 ? '' : 's'} found; → says what repairs it.`;
  return `${lines.join('\n')}\n\n${verdict}\n`;
}
