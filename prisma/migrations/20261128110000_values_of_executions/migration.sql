-- AlterTable
ALTER TABLE "Execution" ADD COLUMN     "value" JSON;
