/**
 * The OpenAPI document of the server, without starting anything: Nest's preview mode builds the graph of
 * the modules and instantiates none of them, and the controllers' metadata says the rest.
 */
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { AppModule } from '../app.module.js';
import { parseEnv } from '../config/env.js';
import { setPrefix } from '../http/prefix.js';
import type { SandboxDriver } from '../sandboxes/sandbox.driver.js';
import { finishDocument } from './openapi-finish.js';

const DESCRIPTION =
  'Self-hosted server that speaks OpenAI’s wire format for Responses, Containers, Container Files and Files, ' +
  'with a code interpreter that runs stateful Python in gVisor. Operations and fields marked as extensions ' +
  'are ours; everything else follows OpenAI’s reference.';

/** Nothing is ever asked of it in preview mode. */
const noDriver = {} as SandboxDriver;

/** `ContainerFilesController`, `retrieve` → `containerFiles_retrieve`. */
function operationId(controller: string, method: string): string {
  const name = controller.replace(/Controller$/, '');
  return `${name.charAt(0).toLowerCase()}${name.slice(1)}_${method}`;
}

export async function openApiDocument(): Promise<OpenAPIObject> {
  const env = parseEnv({});
  const root = AppModule.forRoot({
    env,
    databaseUrl: 'postgresql://preview/preview',
    blobDir: '.',
    driver: noDriver,
  });
  const app = await NestFactory.create<NestFastifyApplication>(root, new FastifyAdapter(), {
    preview: true,
    logger: false,
    abortOnError: false,
  });
  setPrefix(app, env.API_PREFIX);
  const config = new DocumentBuilder()
    .setTitle('Code Interpreter for n8n')
    .setDescription(DESCRIPTION)
    .setVersion(env.API_PREFIX)
    .addServer(`http://${env.HOST}:${env.PORT}`, 'The address of a server with the default configuration')
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'A project’s key, or the admin key.' })
    .addSecurityRequirements('bearer')
    .build();
  return finishDocument(SwaggerModule.createDocument(app, config, { operationIdFactory: operationId }));
}
