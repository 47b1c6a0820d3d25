-- CreateEnum
CREATE TYPE "ProjectStatus" AS ENUM ('active', 'suspended');

-- CreateEnum
CREATE TYPE "UploadStatus" AS ENUM ('pending', 'completed', 'cancelled', 'expired');

-- CreateEnum
CREATE TYPE "ContainerStatus" AS ENUM ('running', 'expired', 'deleted');

-- CreateEnum
CREATE TYPE "FileSource" AS ENUM ('user', 'assistant');

-- CreateEnum
CREATE TYPE "ExecutionStatus" AS ENUM ('queued', 'running', 'completed', 'timed_out', 'interrupted', 'out_of_memory', 'kernel_died', 'failed');

-- CreateEnum
CREATE TYPE "ResponseStatus" AS ENUM ('queued', 'in_progress', 'completed', 'failed', 'incomplete', 'cancelled');

-- CreateEnum
CREATE TYPE "ItemKind" AS ENUM ('input', 'output');

-- CreateTable
CREATE TABLE "Project" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "status" "ProjectStatus" NOT NULL DEFAULT 'active',
    "memoryPoolBytes" BIGINT,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "Project_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "ApiKey" (
    "id" TEXT NOT NULL,
    "projectId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "hint" TEXT NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "lastUsedAt" TIMESTAMP(3),
    "revokedAt" TIMESTAMP(3),

    CONSTRAINT "ApiKey_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Blob" (
    "sha256" TEXT NOT NULL,
    "bytes" BIGINT NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "Blob_pkey" PRIMARY KEY ("sha256")
);

-- CreateTable
CREATE TABLE "File" (
    "id" TEXT NOT NULL,
    "seq" BIGSERIAL NOT NULL,
    "projectId" TEXT NOT NULL,
    "filename" TEXT NOT NULL,
    "purpose" TEXT NOT NULL,
    "bytes" BIGINT NOT NULL,
    "blobSha256" TEXT NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expiresAt" TIMESTAMP(3),

    CONSTRAINT "File_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Upload" (
    "id" TEXT NOT NULL,
    "projectId" TEXT NOT NULL,
    "filename" TEXT NOT NULL,
    "purpose" TEXT NOT NULL,
    "mimeType" TEXT NOT NULL,
    "bytes" BIGINT NOT NULL,
    "status" "UploadStatus" NOT NULL DEFAULT 'pending',
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expiresAt" TIMESTAMP(3) NOT NULL,
    "fileExpiresSeconds" INTEGER,
    "fileId" TEXT,

    CONSTRAINT "Upload_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "UploadPart" (
    "id" TEXT NOT NULL,
    "uploadId" TEXT NOT NULL,
    "bytes" BIGINT NOT NULL,
    "blobSha256" TEXT NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "UploadPart_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Container" (
    "id" TEXT NOT NULL,
    "seq" BIGSERIAL NOT NULL,
    "projectId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "status" "ContainerStatus" NOT NULL DEFAULT 'running',
    "memoryLimit" TEXT NOT NULL,
    "memoryBytes" BIGINT NOT NULL,
    "idleMinutes" INTEGER NOT NULL,
    "networkPolicy" JSONB NOT NULL,
    "sessionKey" TEXT,
    "auto" BOOLEAN NOT NULL DEFAULT false,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "lastActiveAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "endedAt" TIMESTAMP(3),
    "sandboxId" TEXT,
    "generation" INTEGER NOT NULL DEFAULT 0,

    CONSTRAINT "Container_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "ContainerFile" (
    "id" TEXT NOT NULL,
    "seq" BIGSERIAL NOT NULL,
    "containerId" TEXT NOT NULL,
    "projectId" TEXT NOT NULL,
    "path" TEXT NOT NULL,
    "bytes" BIGINT NOT NULL,
    "blobSha256" TEXT NOT NULL,
    "source" "FileSource" NOT NULL,
    "fileId" TEXT,
    "mtimeMs" BIGINT,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,
    "deletedAt" TIMESTAMP(3),

    CONSTRAINT "ContainerFile_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Execution" (
    "id" TEXT NOT NULL,
    "seq" BIGSERIAL NOT NULL,
    "containerId" TEXT NOT NULL,
    "projectId" TEXT NOT NULL,
    "responseId" TEXT,
    "code" TEXT NOT NULL,
    "status" "ExecutionStatus" NOT NULL DEFAULT 'queued',
    "outputs" JSON NOT NULL DEFAULT '[]',
    "files" JSON NOT NULL DEFAULT '[]',
    "notices" JSON NOT NULL DEFAULT '[]',
    "errorName" TEXT,
    "stateLost" BOOLEAN NOT NULL DEFAULT false,
    "timeoutMs" INTEGER NOT NULL,
    "durationMs" INTEGER,
    "peakMemoryBytes" BIGINT,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "startedAt" TIMESTAMP(3),
    "endedAt" TIMESTAMP(3),

    CONSTRAINT "Execution_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Response" (
    "id" TEXT NOT NULL,
    "seq" BIGSERIAL NOT NULL,
    "projectId" TEXT NOT NULL,
    "status" "ResponseStatus" NOT NULL,
    "model" TEXT NOT NULL,
    "background" BOOLEAN NOT NULL DEFAULT false,
    "streamed" BOOLEAN NOT NULL DEFAULT false,
    "stored" BOOLEAN NOT NULL DEFAULT true,
    "previousResponseId" TEXT,
    "conversationId" TEXT,
    "request" JSON NOT NULL,
    "body" JSON NOT NULL,
    "attempt" INTEGER NOT NULL DEFAULT 0,
    "leaseUntil" TIMESTAMP(3),
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "completedAt" TIMESTAMP(3),
    "deletedAt" TIMESTAMP(3),

    CONSTRAINT "Response_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "ResponseItem" (
    "key" BIGSERIAL NOT NULL,
    "id" TEXT NOT NULL,
    "responseId" TEXT NOT NULL,
    "projectId" TEXT NOT NULL,
    "kind" "ItemKind" NOT NULL,
    "position" INTEGER NOT NULL,
    "item" JSON NOT NULL,

    CONSTRAINT "ResponseItem_pkey" PRIMARY KEY ("key")
);

-- CreateTable
CREATE TABLE "ResponseEvent" (
    "responseId" TEXT NOT NULL,
    "sequenceNumber" INTEGER NOT NULL,
    "event" JSON NOT NULL,

    CONSTRAINT "ResponseEvent_pkey" PRIMARY KEY ("responseId","sequenceNumber")
);

-- CreateTable
CREATE TABLE "Setting" (
    "key" TEXT NOT NULL,
    "value" TEXT NOT NULL,

    CONSTRAINT "Setting_pkey" PRIMARY KEY ("key")
);

-- CreateIndex
CREATE UNIQUE INDEX "ApiKey_hash_key" ON "ApiKey"("hash");

-- CreateIndex
CREATE INDEX "ApiKey_projectId_idx" ON "ApiKey"("projectId");

-- CreateIndex
CREATE UNIQUE INDEX "File_seq_key" ON "File"("seq");

-- CreateIndex
CREATE INDEX "File_projectId_seq_idx" ON "File"("projectId", "seq");

-- CreateIndex
CREATE INDEX "File_expiresAt_idx" ON "File"("expiresAt");

-- CreateIndex
CREATE INDEX "File_blobSha256_idx" ON "File"("blobSha256");

-- CreateIndex
CREATE INDEX "Upload_status_expiresAt_idx" ON "Upload"("status", "expiresAt");

-- CreateIndex
CREATE INDEX "UploadPart_uploadId_idx" ON "UploadPart"("uploadId");

-- CreateIndex
CREATE INDEX "UploadPart_blobSha256_idx" ON "UploadPart"("blobSha256");

-- CreateIndex
CREATE UNIQUE INDEX "Container_seq_key" ON "Container"("seq");

-- CreateIndex
CREATE INDEX "Container_projectId_seq_idx" ON "Container"("projectId", "seq");

-- CreateIndex
CREATE INDEX "Container_status_lastActiveAt_idx" ON "Container"("status", "lastActiveAt");

-- CreateIndex
CREATE UNIQUE INDEX "ContainerFile_seq_key" ON "ContainerFile"("seq");

-- CreateIndex
CREATE INDEX "ContainerFile_containerId_seq_idx" ON "ContainerFile"("containerId", "seq");

-- CreateIndex
CREATE INDEX "ContainerFile_blobSha256_idx" ON "ContainerFile"("blobSha256");

-- CreateIndex
CREATE UNIQUE INDEX "ContainerFile_containerId_path_key" ON "ContainerFile"("containerId", "path");

-- CreateIndex
CREATE UNIQUE INDEX "Execution_seq_key" ON "Execution"("seq");

-- CreateIndex
CREATE INDEX "Execution_containerId_seq_idx" ON "Execution"("containerId", "seq");

-- CreateIndex
CREATE INDEX "Execution_projectId_createdAt_idx" ON "Execution"("projectId", "createdAt");

-- CreateIndex
CREATE INDEX "Execution_status_idx" ON "Execution"("status");

-- CreateIndex
CREATE UNIQUE INDEX "Response_seq_key" ON "Response"("seq");

-- CreateIndex
CREATE INDEX "Response_projectId_seq_idx" ON "Response"("projectId", "seq");

-- CreateIndex
CREATE INDEX "Response_status_leaseUntil_idx" ON "Response"("status", "leaseUntil");

-- CreateIndex
CREATE INDEX "Response_createdAt_idx" ON "Response"("createdAt");

-- CreateIndex
CREATE INDEX "ResponseItem_projectId_id_idx" ON "ResponseItem"("projectId", "id");

-- CreateIndex
CREATE UNIQUE INDEX "ResponseItem_responseId_kind_position_key" ON "ResponseItem"("responseId", "kind", "position");

-- AddForeignKey
ALTER TABLE "ApiKey" ADD CONSTRAINT "ApiKey_projectId_fkey" FOREIGN KEY ("projectId") REFERENCES "Project"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "File" ADD CONSTRAINT "File_projectId_fkey" FOREIGN KEY ("projectId") REFERENCES "Project"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "File" ADD CONSTRAINT "File_blobSha256_fkey" FOREIGN KEY ("blobSha256") REFERENCES "Blob"("sha256") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Upload" ADD CONSTRAINT "Upload_projectId_fkey" FOREIGN KEY ("projectId") REFERENCES "Project"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "UploadPart" ADD CONSTRAINT "UploadPart_uploadId_fkey" FOREIGN KEY ("uploadId") REFERENCES "Upload"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "UploadPart" ADD CONSTRAINT "UploadPart_blobSha256_fkey" FOREIGN KEY ("blobSha256") REFERENCES "Blob"("sha256") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Container" ADD CONSTRAINT "Container_projectId_fkey" FOREIGN KEY ("projectId") REFERENCES "Project"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "ContainerFile" ADD CONSTRAINT "ContainerFile_containerId_fkey" FOREIGN KEY ("containerId") REFERENCES "Container"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "ContainerFile" ADD CONSTRAINT "ContainerFile_blobSha256_fkey" FOREIGN KEY ("blobSha256") REFERENCES "Blob"("sha256") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Execution" ADD CONSTRAINT "Execution_containerId_fkey" FOREIGN KEY ("containerId") REFERENCES "Container"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Response" ADD CONSTRAINT "Response_projectId_fkey" FOREIGN KEY ("projectId") REFERENCES "Project"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "ResponseItem" ADD CONSTRAINT "ResponseItem_responseId_fkey" FOREIGN KEY ("responseId") REFERENCES "Response"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "ResponseEvent" ADD CONSTRAINT "ResponseEvent_responseId_fkey" FOREIGN KEY ("responseId") REFERENCES "Response"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- Written by hand, as schema.prisma cannot say it: a session key names one running container of its project.
CREATE UNIQUE INDEX "Container_projectId_sessionKey_running_key" ON "Container"("projectId", "sessionKey")
  WHERE "status" = 'running' AND "sessionKey" IS NOT NULL;
