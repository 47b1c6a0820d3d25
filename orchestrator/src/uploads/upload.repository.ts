import { Injectable } from '@nestjs/common';
import type { Prisma, Upload, UploadPart } from '../database/generated/client.js';
import { PrismaService } from '../database/prisma.service.js';
import type { FileDraft } from '../files/files.service.js';
import { sourcesOf, type UploadState } from './upload.state.js';

export type UploadRow = Upload;
export type UploadPartRow = UploadPart;

export interface NewUpload {
  readonly id: string;
  readonly projectId: string;
  readonly filename: string;
  readonly purpose: string;
  readonly mimeType: string;
  readonly bytes: bigint;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly fileExpiresSeconds: number | null;
}

export interface NewPart {
  readonly id: string;
  readonly uploadId: string;
  readonly projectId: string;
  readonly bytes: bigint;
  readonly blobSha256: string;
  readonly createdAt: Date;
}

/** What the parts of an upload add up to. */
export interface PartTotals {
  readonly bytes: bigint;
  readonly count: number;
}

/** May go to this state at `now`; in the WHERE of every step. */
const ready = (id: string, to: UploadState, now: Date): Prisma.UploadWhereInput => ({
  id,
  status: { in: sourcesOf(to) },
  expiresAt: { gt: now },
});

@Injectable()
export class UploadRepository {
  constructor(private readonly prisma: PrismaService) {}

  async insert(upload: NewUpload): Promise<UploadRow> {
    return this.prisma.upload.create({ data: upload });
  }

  async find(projectId: string, id: string): Promise<UploadRow | null> {
    return this.prisma.upload.findFirst({ where: { id, projectId } });
  }

  async parts(uploadId: string): Promise<UploadPartRow[]> {
    return this.prisma.uploadPart.findMany({ where: { uploadId } });
  }

  /**
   * Adds a part while the upload is open; false when it is not any more. `check` sees what is there
   * already, with the row locked, and throws to refuse.
   */
  async addPart(part: NewPart, check: (totals: PartTotals) => void): Promise<boolean> {
    return this.prisma.$transaction(async (tx) => {
      const locked = await tx.upload.updateMany({
        where: ready(part.uploadId, 'completed', part.createdAt),
        data: { status: 'pending' },
      });
      if (locked.count === 0) return false;
      const { _sum, _count } = await tx.uploadPart.aggregate({
        where: { uploadId: part.uploadId },
        _sum: { bytes: true },
        _count: true,
      });
      check({ bytes: _sum.bytes ?? 0n, count: _count });
      await tx.uploadPart.create({ data: part });
      return true;
    });
  }

  /** pending → completed together with its file; false when another step was first. */
  async complete(id: string, file: FileDraft): Promise<boolean> {
    return this.prisma.$transaction(async (tx) => {
      const { count } = await tx.upload.updateMany({
        where: ready(id, 'completed', file.createdAt),
        data: { status: 'completed', fileId: file.id },
      });
      if (count === 0) return false;
      await tx.file.create({ data: { ...file, bytes: BigInt(file.bytes) } });
      await tx.uploadPart.deleteMany({ where: { uploadId: id } });
      return true;
    });
  }

  /** pending → cancelled; false when another step was first. */
  async cancel(id: string, now: Date): Promise<boolean> {
    return this.prisma.$transaction(async (tx) => {
      const { count } = await tx.upload.updateMany({
        where: ready(id, 'cancelled', now),
        data: { status: 'cancelled' },
      });
      if (count === 0) return false;
      await tx.uploadPart.deleteMany({ where: { uploadId: id } });
      return true;
    });
  }

  /** Writes down what has expired and lets go of its parts; returns how many uploads. */
  async expireDue(now: Date): Promise<number> {
    return this.prisma.$transaction(async (tx) => {
      const { count } = await tx.upload.updateMany({
        where: { status: { in: sourcesOf('expired') }, expiresAt: { lte: now } },
        data: { status: 'expired' },
      });
      await tx.uploadPart.deleteMany({ where: { upload: { status: { notIn: sourcesOf('expired') } } } });
      return count;
    });
  }
}
