import { z } from 'zod';

const working = z.enum(['ok', 'unavailable']);

export const livenessSchema = z.object({ status: z.literal('ok') }).meta({ id: 'Liveness' });

export const readinessSchema = z
  .object({
    status: z.enum(['ok', 'draining', 'unavailable']),
    database: working,
    sandbox: working,
    isolation: z.enum(['gvisor', 'none']).meta({ description: 'What separates code from the host.' }),
    problems: z.array(z.string()).meta({ description: 'What is wrong, and what repairs it.' }),
  })
  .meta({ id: 'Readiness' });

export type Liveness = z.output<typeof livenessSchema>;
export type Readiness = z.output<typeof readinessSchema>;
