import { z } from 'zod';

const working = z.enum(['ok', 'unavailable']);

export const livenessSchema = z.object({ status: z.literal('ok') }).meta({ id: 'Liveness' });

export const readinessSchema = z
  .object({
    status: z.enum(['ok', 'draining', 'unavailable']),
    database: working,
    sandbox: working,
    storage: z.enum(['ok', 'full']).meta({
      description:
        'full: the disk is below its floor and nothing is stored; the server is ready for everything else.',
    }),
    isolation: z.enum(['gvisor', 'none']).meta({ description: 'What separates code from the host.' }),
    problems: z.array(z.string()).meta({ description: 'What is wrong, and what repairs it.' }),
  })
  .meta({ id: 'Readiness' });

export type Liveness = z.output<typeof livenessSchema>;
export type Readiness = z.output<typeof readinessSchema>;
