-- AlterTable
ALTER TABLE "Response" ADD COLUMN     "turn" JSON;
