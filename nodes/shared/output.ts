/** Produced files → binaries beside the JSON of a run, on one item or on one item each. */
import type {
  IBinaryKeyData,
  IDataObject,
  IExecuteFunctions,
  INodeExecutionData,
  IPairedItemData,
} from 'n8n-workflow';
import { type Download, downloadAs, isWanted, propertyName } from './binary';
import { linkFields } from './links';
import { mimeTypeOf } from './mime';
import type { ProducedFile } from './types';

export interface FileOutput {
  download: Download;
  pattern: string;
  prefix: string;
  split: boolean;
  /** How long links to the files work; none are made without it. */
  linkHours?: number;
}

/** Reads the parameters of `fileOutputFields` and the options beside them. */
export function fileOutputOf(context: IExecuteFunctions, itemIndex: number): FileOutput {
  const options = context.getNodeParameter('options', itemIndex, {}) as IDataObject;
  const linkHours = options.linkHours as number | undefined;
  return {
    download: context.getNodeParameter('downloadFiles', itemIndex, 'all') as Download,
    pattern: context.getNodeParameter('filePattern', itemIndex, '*') as string,
    prefix: (options.outputField as string) || 'data',
    split: options.splitFiles === true,
    ...(linkHours === undefined ? {} : { linkHours }),
  };
}

export interface Downloaded {
  /** One entry a produced file, with the name of its binary field if it has one. */
  files: IDataObject[];
  binary: IBinaryKeyData;
}

/** The binary fields as nodes that send mail want to be told them: `data,data_1`. */
export const attachmentsOf = (binary: IBinaryKeyData): string => Object.keys(binary).join(',');

export async function downloadFiles(
  context: IExecuteFunctions,
  produced: readonly ProducedFile[],
  output: FileOutput,
): Promise<Downloaded> {
  const binary: IBinaryKeyData = {};
  const files: IDataObject[] = [];
  for (const file of produced) {
    const entry: IDataObject = {
      id: file.id,
      container_id: file.containerId,
      filename: file.fileName,
      mime_type: mimeTypeOf(file.fileName),
      ...(file.bytes === undefined ? {} : { bytes: file.bytes }),
    };
    if (isWanted(file, output.download, output.pattern)) {
      const property = propertyName(output.prefix, Object.keys(binary).length);
      // Kept by the server under this address also after the container has expired.
      binary[property] = await downloadAs(context, contentPath(file), file.fileName);
      entry.binary_property = property;
    }
    if (output.linkHours !== undefined)
      Object.assign(entry, await linkFields(context, file.id, output.linkHours));
    files.push(entry);
  }
  return { files, binary };
}

const contentPath = (file: ProducedFile): string =>
  `/containers/${encodeURIComponent(file.containerId)}/files/${encodeURIComponent(file.id)}/content`;

/** Binaries on the first item; or, split, one item a file, each with the field `prefix`. */
export function withBinaries(
  rows: readonly IDataObject[],
  { files, binary }: Downloaded,
  output: FileOutput,
  pairedItem: IPairedItemData | IPairedItemData[],
): INodeExecutionData[] {
  const properties = Object.keys(binary);
  if (!output.split || properties.length === 0) {
    return rows.map((json, index) => ({
      json,
      pairedItem,
      ...(index === 0 && properties.length > 0 ? { binary } : {}),
    }));
  }
  return Object.entries(binary).map(([property, content]) => {
    const file = files.find((each) => each.binary_property === property) ?? {};
    return {
      json: {
        ...rows[0],
        file: { ...file, binary_property: output.prefix },
        attachments: output.prefix,
      },
      binary: { [output.prefix]: content },
      pairedItem,
    };
  });
}
