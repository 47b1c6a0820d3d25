-- AlterTable
ALTER TABLE "ContainerFile" ADD COLUMN     "stamp" TEXT;
