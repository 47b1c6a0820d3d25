/** Names of files that go out side by side: in a mail or an archive the second of two equal ones would be lost. */
import { extensionOf } from './mime';

interface Named {
  fileName: string;
}

const numbered = (fileName: string, number: number): string => {
  const extension = extensionOf(fileName);
  const stem = extension === '' ? fileName : fileName.slice(0, -(extension.length + 1));
  return `${stem} (${number})${extension === '' ? '' : fileName.slice(stem.length)}`;
};

/** `x.csv`, `x.csv` → `x.csv`, `x (2).csv`; whether letters are large or small makes no other name. */
export function distinctNames<T extends Named>(files: readonly T[]): T[] {
  const taken = new Set<string>();
  return files.map((file) => {
    let { fileName } = file;
    for (let number = 2; taken.has(fileName.toLowerCase()); number++)
      fileName = numbered(file.fileName, number);
    taken.add(fileName.toLowerCase());
    return fileName === file.fileName ? file : { ...file, fileName };
  });
}
