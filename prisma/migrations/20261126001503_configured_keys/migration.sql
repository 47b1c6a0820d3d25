-- AlterTable
ALTER TABLE "ApiKey" ADD COLUMN     "configured" BOOLEAN NOT NULL DEFAULT false;

-- Those that were configured until now, replaced ones too.
UPDATE "ApiKey" SET "configured" = true WHERE "projectId" = 'proj_default' AND "name" = 'First key';
