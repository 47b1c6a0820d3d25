/** Where requests are refused on their headers alone, before a byte of their body is read. */
import { Injectable } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { marksOf, type RouteMarks } from '../common/route-config.js';
import type { RequestWithCaller } from './caller.js';

/** In this order, so that a stranger learns nothing of limits and drains. */
const STAGES = ['key', 'rate', 'drain'] as const;
export type Stage = (typeof STAGES)[number];

/** Throws the `ApiError` of a request that must go no further; may put headers on its reply. */
export type Gate = (
  request: RequestWithCaller,
  reply: FastifyReply,
  marks: RouteMarks,
) => void | Promise<void>;

/** Guards behind it still ask what only a handler can tell; each room puts its own gate here. */
@Injectable()
export class Door {
  private readonly gates = new Map<Stage, Gate>();

  /** Called once by each room when the application is put together. */
  set(stage: Stage, gate: Gate): void {
    this.gates.set(stage, gate);
  }

  /** Called for every request that a route takes, before its body is touched. */
  async admit(request: RequestWithCaller, reply: FastifyReply): Promise<void> {
    const marks = marksOf(request);
    for (const stage of STAGES) await this.gates.get(stage)?.(request, reply, marks);
  }
}
