import { Controller, Get, Param, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Public } from '../auth/caller.js';
import { FilesService } from '../files/files.service.js';
import { sendBlob } from '../storage/blob-reply.js';
import { linkHeaders } from './link-headers.js';
import { type DeadLink, LinksService } from './links.service.js';

/** A person reads them in a browser. */
const SORRY: Readonly<Record<DeadLink, readonly [status: number, text: string]>> = {
  unknown: [
    404,
    'This link opens nothing: it was revoked, or its file was deleted, or the address is incomplete.',
  ],
  expired: [410, 'This link has expired. Ask for a new one where you got it.'],
};

/** Later parts of a download that was counted already. */
const isLaterPart = ({ headers: { range } }: FastifyRequest): boolean =>
  range !== undefined && !/^\s*bytes\s*=\s*0\s*-/i.test(range);

/** `/links/{token}/{name}`, outside the API and without a key: the token is what opens the file. */
@ApiExcludeController()
@Controller('links')
@Public()
export class OpenLinkController {
  constructor(
    private readonly links: LinksService,
    private readonly files: FilesService,
  ) {}

  @Get(':token')
  bare(
    @Param('token') token: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    return this.open(token, request, reply);
  }

  /** The name makes browsers and people see what it is; any will do. */
  @Get(':token/:name')
  named(
    @Param('token') token: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    return this.open(token, request, reply);
  }

  private async open(token: string, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const opened = await this.links.open(token);
    if (typeof opened === 'string') return sorry(reply, opened);
    const { link, file } = opened;
    const isCounted = request.method === 'GET' && !isLaterPart(request);
    if (isCounted && !(await this.links.count(link))) return sorry(reply, 'unknown');
    const download = { fileName: file.filename, bytes: file.bytes, sha256: file.blobSha256 };
    await sendBlob(
      request,
      reply,
      download,
      (range) => this.files.read(file, range),
      linkHeaders(file.filename),
    );
  }
}

async function sorry(reply: FastifyReply, why: DeadLink): Promise<void> {
  const [status, text] = SORRY[why];
  await reply
    .status(status)
    .headers({
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
    .send(`${text}\n`);
}
