/** What the sandbox image carries: the file the image build writes, and the object of the API. */
import { z } from 'zod';

const packageSchema = z
  .object({
    name: z.string().meta({ description: 'Name of the distribution, in lower case with hyphens.' }),
    version: z.string(),
    modules: z.array(z.string()).meta({ description: 'Top-level names to import.' }),
  })
  .meta({ id: 'EnvironmentPackage' });

export const environmentFileSchema = z.object({ python: z.string(), packages: z.array(packageSchema) });

export const environmentSchema = z
  .object({
    object: z.literal('environment'),
    python_version: z.string(),
    packages: z.array(packageSchema),
  })
  .meta({ id: 'Environment' });

export type EnvironmentObject = z.output<typeof environmentSchema>;
