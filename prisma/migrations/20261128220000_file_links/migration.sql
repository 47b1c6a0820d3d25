-- AlterTable
ALTER TABLE "Project" ADD COLUMN     "allowsLinks" BOOLEAN NOT NULL DEFAULT true;

-- CreateTable
CREATE TABLE "FileLink" (
    "id" TEXT NOT NULL,
    "seq" BIGSERIAL NOT NULL,
    "projectId" TEXT NOT NULL,
    "fileId" TEXT NOT NULL,
    "tokenHash" TEXT NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expiresAt" TIMESTAMP(3) NOT NULL,
    "downloads" INTEGER NOT NULL DEFAULT 0,
    "lastDownloadedAt" TIMESTAMP(3),

    CONSTRAINT "FileLink_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "FileLink_seq_key" ON "FileLink"("seq");

-- CreateIndex
CREATE UNIQUE INDEX "FileLink_tokenHash_key" ON "FileLink"("tokenHash");

-- CreateIndex
CREATE INDEX "FileLink_projectId_fileId_seq_idx" ON "FileLink"("projectId", "fileId", "seq");

-- CreateIndex
CREATE INDEX "FileLink_expiresAt_idx" ON "FileLink"("expiresAt");

-- AddForeignKey
ALTER TABLE "FileLink" ADD CONSTRAINT "FileLink_projectId_fkey" FOREIGN KEY ("projectId") REFERENCES "Project"("id") ON DELETE CASCADE ON UPDATE CASCADE;
