-- AlterTable
ALTER TABLE "Container" ADD COLUMN     "aside" BOOLEAN NOT NULL DEFAULT false;

-- AlterTable
ALTER TABLE "Execution" DROP COLUMN "notices";
