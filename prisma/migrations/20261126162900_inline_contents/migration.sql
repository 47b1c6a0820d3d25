-- CreateTable
CREATE TABLE "InlineContent" (
    "key" BIGSERIAL NOT NULL,
    "projectId" TEXT NOT NULL,
    "bytes" BIGINT NOT NULL,
    "blobSha256" TEXT NOT NULL,
    "responseItemKey" BIGINT,
    "conversationItemKey" BIGINT,

    CONSTRAINT "InlineContent_pkey" PRIMARY KEY ("key")
);

-- CreateIndex
CREATE INDEX "InlineContent_projectId_idx" ON "InlineContent"("projectId");

-- CreateIndex
CREATE INDEX "InlineContent_blobSha256_idx" ON "InlineContent"("blobSha256");

-- CreateIndex
CREATE INDEX "InlineContent_responseItemKey_idx" ON "InlineContent"("responseItemKey");

-- CreateIndex
CREATE INDEX "InlineContent_conversationItemKey_idx" ON "InlineContent"("conversationItemKey");

-- AddForeignKey
ALTER TABLE "InlineContent" ADD CONSTRAINT "InlineContent_blobSha256_fkey" FOREIGN KEY ("blobSha256") REFERENCES "Blob"("sha256") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "InlineContent" ADD CONSTRAINT "InlineContent_responseItemKey_fkey" FOREIGN KEY ("responseItemKey") REFERENCES "ResponseItem"("key") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "InlineContent" ADD CONSTRAINT "InlineContent_conversationItemKey_fkey" FOREIGN KEY ("conversationItemKey") REFERENCES "ConversationItem"("key") ON DELETE CASCADE ON UPDATE CASCADE;

-- What the parts of an item name, once each. Content that went meanwhile is left out: an end is never lost for it.
CREATE FUNCTION "inline_contents_of"(item JSON) RETURNS SETOF "Blob" LANGUAGE sql STABLE AS $$
  SELECT * FROM "Blob" WHERE "sha256" IN (
    SELECT part -> 'inline_content' ->> 'sha256'
      FROM (VALUES (item -> 'content'), (item -> 'output')) AS field (parts),
           json_array_elements(CASE WHEN json_typeof(parts) = 'array' THEN parts ELSE '[]' END) AS part
     WHERE json_typeof(part) = 'object' AND json_typeof(part -> 'inline_content') = 'object')
$$;

CREATE FUNCTION "inline_contents_of_response_item"() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO "InlineContent" ("projectId", "bytes", "blobSha256", "responseItemKey")
    SELECT NEW."projectId", "bytes", "sha256", NEW."key" FROM "inline_contents_of"(NEW."item");
  RETURN NULL;
END $$;

CREATE FUNCTION "inline_contents_of_conversation_item"() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO "InlineContent" ("projectId", "bytes", "blobSha256", "conversationItemKey")
    SELECT c."projectId", b."bytes", b."sha256", NEW."key"
      FROM "Conversation" c, "inline_contents_of"(NEW."item") b WHERE c."id" = NEW."conversationId";
  RETURN NULL;
END $$;

CREATE TRIGGER "inline_contents" AFTER INSERT ON "ResponseItem" FOR EACH ROW
  WHEN (NEW."item"::text LIKE '%"inline_content"%')
  EXECUTE FUNCTION "inline_contents_of_response_item"();
CREATE TRIGGER "inline_contents" AFTER INSERT ON "ConversationItem" FOR EACH ROW
  WHEN (NEW."item"::text LIKE '%"inline_content"%')
  EXECUTE FUNCTION "inline_contents_of_conversation_item"();

CREATE TRIGGER "storage_added" AFTER INSERT ON "InlineContent"
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION "storage_added"();
CREATE TRIGGER "storage_removed" AFTER DELETE ON "InlineContent"
  REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION "storage_removed"();
