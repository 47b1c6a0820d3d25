-- DropIndex
DROP INDEX "Container_status_lastActiveAt_idx";

-- DropIndex
DROP INDEX "Execution_status_idx";

-- DropIndex
DROP INDEX "Response_status_leaseUntil_idx";

-- DropIndex
DROP INDEX "WebhookDelivery_projectId_createdAt_idx";

-- DropIndex
DROP INDEX "WebhookDelivery_status_nextAttemptAt_idx";

-- AlterTable
ALTER TABLE "Container" ADD COLUMN     "emptied" BOOLEAN NOT NULL DEFAULT false;

-- AlterTable
ALTER TABLE "Conversation" ADD COLUMN     "activeAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP;

-- AlterTable
ALTER TABLE "Response" ADD COLUMN     "emptied" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN     "eventsRemoved" BOOLEAN NOT NULL DEFAULT false;

-- CreateIndex
CREATE INDEX "Conversation_activeAt_idx" ON "Conversation"("activeAt");

-- CreateIndex
CREATE INDEX "ConversationItem_conversationId_key_idx" ON "ConversationItem"("conversationId", "key");

-- CreateIndex
CREATE INDEX "Execution_status_seq_idx" ON "Execution"("status", "seq");

-- CreateIndex
CREATE INDEX "Execution_createdAt_idx" ON "Execution"("createdAt");

-- CreateIndex
CREATE INDEX "Response_status_seq_idx" ON "Response"("status", "seq");

-- CreateIndex
CREATE INDEX "Upload_projectId_idx" ON "Upload"("projectId");

-- CreateIndex
CREATE INDEX "Upload_createdAt_idx" ON "Upload"("createdAt");

-- CreateIndex
CREATE INDEX "WebhookDelivery_projectId_seq_idx" ON "WebhookDelivery"("projectId", "seq");

-- CreateIndex
CREATE INDEX "WebhookDelivery_subjectId_idx" ON "WebhookDelivery"("subjectId");

-- Written by hand from here on, as schema.prisma cannot say it.

-- A removed file is a copy of nothing, and of several copies of one file the first stays one.
UPDATE "ContainerFile" SET "fileId" = NULL WHERE "fileId" IS NOT NULL AND "deletedAt" IS NOT NULL;
UPDATE "ContainerFile" f SET "fileId" = NULL
 WHERE f."fileId" IS NOT NULL AND EXISTS (
   SELECT 1 FROM "ContainerFile" o
    WHERE o."containerId" = f."containerId" AND o."fileId" = f."fileId" AND o."seq" < f."seq");
CREATE UNIQUE INDEX "ContainerFile_containerId_fileId_present_key" ON "ContainerFile"("containerId", "fileId")
  WHERE "fileId" IS NOT NULL AND "deletedAt" IS NULL;

-- Files that were removed from a container which may have ended since.
CREATE INDEX "ContainerFile_containerId_removed_idx" ON "ContainerFile"("containerId") WHERE "deletedAt" IS NOT NULL;

-- Running containers: few, whatever the number of tombstones. For the memory pool, the sweep and the metrics.
CREATE INDEX "Container_projectId_running_idx" ON "Container"("projectId") WHERE "status" = 'running';
CREATE INDEX "Container_sandboxId_idx" ON "Container"("sandboxId") WHERE "sandboxId" IS NOT NULL;
CREATE INDEX "Container_endedAt_idx" ON "Container"("endedAt") WHERE "endedAt" IS NOT NULL;
-- Deleted, and not emptied yet.
CREATE INDEX "Container_id_to_empty_idx" ON "Container"("id") WHERE "status" = 'deleted' AND NOT "emptied";
CREATE INDEX "Response_id_to_empty_idx" ON "Response"("id") WHERE "deletedAt" IS NOT NULL AND NOT "emptied";

CREATE INDEX "Execution_responseId_idx" ON "Execution"("responseId") WHERE "responseId" IS NOT NULL;
-- Background responses whose events are still there.
CREATE INDEX "Response_createdAt_events_idx" ON "Response"("createdAt") WHERE "background" AND NOT "eventsRemoved";
CREATE INDEX "Conversation_lockedBy_idx" ON "Conversation"("lockedBy") WHERE "lockedBy" IS NOT NULL;
CREATE INDEX "Conversation_deletedAt_idx" ON "Conversation"("deletedAt") WHERE "deletedAt" IS NOT NULL;
CREATE INDEX "WebhookDelivery_nextAttemptAt_pending_idx" ON "WebhookDelivery"("nextAttemptAt") WHERE "status" = 'pending';

-- Room in each page for the next version of its rows: the idle clock of a container is written with every use.
ALTER TABLE "Container" SET (fillfactor = 70);
