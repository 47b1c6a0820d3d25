-- AlterTable
ALTER TABLE "Project" ADD COLUMN     "storageQuotaBytes" BIGINT;

-- AlterTable: a part knows its project, because a cascading delete takes its upload first
ALTER TABLE "UploadPart" ADD COLUMN     "projectId" TEXT;
UPDATE "UploadPart" p SET "projectId" = u."projectId" FROM "Upload" u WHERE u."id" = p."uploadId";
ALTER TABLE "UploadPart" ALTER COLUMN "projectId" SET NOT NULL;

-- CreateTable
CREATE TABLE "FreedBlob" (
    "key" BIGSERIAL NOT NULL,
    "sha256" TEXT NOT NULL,
    "dueAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "FreedBlob_pkey" PRIMARY KEY ("key")
);

-- CreateTable
CREATE TABLE "StorageEntry" (
    "key" BIGSERIAL NOT NULL,
    "projectId" TEXT NOT NULL,
    "bytes" BIGINT NOT NULL,

    CONSTRAINT "StorageEntry_pkey" PRIMARY KEY ("key")
);

-- CreateIndex
CREATE INDEX "FreedBlob_dueAt_idx" ON "FreedBlob"("dueAt");

-- CreateIndex
CREATE INDEX "StorageEntry_projectId_idx" ON "StorageEntry"("projectId");

-- A deleted container file keeps its row, so that its path keeps its id, but not its content: it refers
-- to the empty content instead.
CREATE FUNCTION "storage_empty_content"() RETURNS TEXT LANGUAGE plpgsql AS $$
DECLARE
  empty CONSTANT TEXT := 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
BEGIN
  INSERT INTO "Blob" ("sha256", "bytes") VALUES (empty, 0) ON CONFLICT DO NOTHING;
  RETURN empty;
END $$;

-- What a statement adds, for tables whose rows all count.
CREATE FUNCTION "storage_added"() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO "StorageEntry" ("projectId", "bytes")
    SELECT "projectId", sum("bytes") FROM added GROUP BY "projectId" HAVING sum("bytes") <> 0;
  RETURN NULL;
END $$;

-- What a statement removes, and the content it may have freed.
CREATE FUNCTION "storage_removed"() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO "StorageEntry" ("projectId", "bytes")
    SELECT "projectId", -sum("bytes") FROM removed GROUP BY "projectId" HAVING sum("bytes") <> 0;
  INSERT INTO "FreedBlob" ("sha256", "dueAt")
    SELECT DISTINCT "blobSha256", now() AT TIME ZONE 'utc' FROM removed;
  RETURN NULL;
END $$;

-- The same for container files: deleted ones do not count.
CREATE FUNCTION "storage_container_added"() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO "StorageEntry" ("projectId", "bytes")
    SELECT "projectId", sum("bytes") FROM added WHERE "deletedAt" IS NULL
     GROUP BY "projectId" HAVING sum("bytes") <> 0;
  RETURN NULL;
END $$;

CREATE FUNCTION "storage_container_removed"() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO "StorageEntry" ("projectId", "bytes")
    SELECT "projectId", -sum("bytes") FROM removed WHERE "deletedAt" IS NULL
     GROUP BY "projectId" HAVING sum("bytes") <> 0;
  INSERT INTO "FreedBlob" ("sha256", "dueAt")
    SELECT DISTINCT "blobSha256", now() AT TIME ZONE 'utc' FROM removed WHERE "deletedAt" IS NULL;
  RETURN NULL;
END $$;

CREATE FUNCTION "storage_container_emptied"() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  NEW."blobSha256" := "storage_empty_content"();
  RETURN NEW;
END $$;

CREATE FUNCTION "storage_container_changed"() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
  change BIGINT := (CASE WHEN NEW."deletedAt" IS NULL THEN NEW."bytes" ELSE 0 END)
                 - (CASE WHEN OLD."deletedAt" IS NULL THEN OLD."bytes" ELSE 0 END);
BEGIN
  IF change <> 0 THEN
    INSERT INTO "StorageEntry" ("projectId", "bytes") VALUES (NEW."projectId", change);
  END IF;
  IF OLD."blobSha256" <> NEW."blobSha256" AND OLD."deletedAt" IS NULL THEN
    INSERT INTO "FreedBlob" ("sha256", "dueAt") VALUES (OLD."blobSha256", now() AT TIME ZONE 'utc');
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER "storage_added" AFTER INSERT ON "File"
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION "storage_added"();
CREATE TRIGGER "storage_removed" AFTER DELETE ON "File"
  REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION "storage_removed"();

CREATE TRIGGER "storage_added" AFTER INSERT ON "UploadPart"
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION "storage_added"();
CREATE TRIGGER "storage_removed" AFTER DELETE ON "UploadPart"
  REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION "storage_removed"();

CREATE TRIGGER "storage_added" AFTER INSERT ON "ContainerFile"
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION "storage_container_added"();
CREATE TRIGGER "storage_removed" AFTER DELETE ON "ContainerFile"
  REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION "storage_container_removed"();
CREATE TRIGGER "storage_emptied" BEFORE UPDATE ON "ContainerFile" FOR EACH ROW
  WHEN (OLD."deletedAt" IS NULL AND NEW."deletedAt" IS NOT NULL)
  EXECUTE FUNCTION "storage_container_emptied"();
CREATE TRIGGER "storage_changed" AFTER UPDATE ON "ContainerFile" FOR EACH ROW
  WHEN (OLD."blobSha256" <> NEW."blobSha256" OR OLD."bytes" <> NEW."bytes"
        OR (OLD."deletedAt" IS NULL) <> (NEW."deletedAt" IS NULL))
  EXECUTE FUNCTION "storage_container_changed"();

-- Files deleted before this step let go of their content too; the first walk through all content finds it.
UPDATE "ContainerFile" SET "blobSha256" = "storage_empty_content"() WHERE "deletedAt" IS NOT NULL;

-- What is stored already. The triggers above are in place and nothing else writes meanwhile.
INSERT INTO "StorageEntry" ("projectId", "bytes")
  SELECT "projectId", sum("bytes") FROM (
    SELECT "projectId", "bytes" FROM "File"
    UNION ALL SELECT "projectId", "bytes" FROM "UploadPart"
    UNION ALL SELECT "projectId", "bytes" FROM "ContainerFile" WHERE "deletedAt" IS NULL
  ) AS stored GROUP BY "projectId";
