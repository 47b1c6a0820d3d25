/** What the panel of Run Python asks for, in the order in which a person fills it in. */
import type { IDisplayOptions, INodeProperties } from 'n8n-workflow';
import {
  containerFields,
  fileOutputFields,
  idleOption,
  inputFilesField,
  keepContainerOption,
  linkOption,
  memoryOption,
  outputFieldOption,
  splitFilesOption,
} from '../../shared/descriptions';

/** Workflows of the first releases have the operation at the resource `container`. */
const show: IDisplayOptions = { show: { resource: ['code', 'container'], operation: ['runCode'] } };

/** Short lines, because the panel is narrow; runs on any items, also on the empty one of a trigger. */
const EXAMPLE = `# items: a list of dicts
# df: the same as a pandas DataFrame
# files: the input files, with name and path
import matplotlib.pyplot as plt

numbers = df.select_dtypes("number")
if not numbers.empty:
    numbers.plot()
    plt.show()

result = items
`;

export const runCodeFields: INodeProperties[] = [
  {
    displayName: 'Python Code',
    name: 'code',
    type: 'string',
    typeOptions: { editor: 'codeNodeEditor', editorLanguage: 'python', rows: 14 },
    default: EXAMPLE,
    required: true,
    noDataExpression: false,
    description:
      'The code to run. The incoming items are in items (a list of dicts) and df (a pandas DataFrame), the input files in files (a list of dicts with name and path). Assign the output to result. Charts that are shown and files that are written come out as binary data. pandas, numpy, matplotlib, scikit-learn, openpyxl and 400 more packages are installed; there is no network.',
    displayOptions: show,
  },
  inputFilesField(show),
  {
    displayName: 'Mode',
    name: 'mode',
    type: 'options',
    noDataExpression: true,
    default: 'all',
    description: 'How often the code runs',
    options: [
      { name: 'Run Once for All Items', value: 'all', description: 'The code sees all items at once' },
      {
        name: 'Run Once for Each Item',
        value: 'each',
        description: 'The code sees one item at a time, in item, items and df',
      },
    ],
    displayOptions: show,
  },
  ...containerFields(show, 'session'),
  {
    displayName: 'Return',
    name: 'returns',
    type: 'options',
    default: 'automatic',
    description: 'What the output items contain',
    options: [
      {
        name: 'Automatic',
        value: 'automatic',
        description:
          'The variable result; if the code does not set it, the value of the last line; if there is none, the execution details',
      },
      {
        name: 'Execution Details',
        value: 'details',
        description: 'One item with the printed text, the files and the container ID',
      },
      {
        name: 'Last Expression',
        value: 'expression',
        description: 'The value of the last line, as in a notebook',
      },
      {
        name: 'Printed Text',
        value: 'printed',
        description: 'One item whose stdout holds what was printed',
      },
      { name: 'Result Variable', value: 'result', description: 'The value of the variable result' },
    ],
    displayOptions: show,
  },
  ...fileOutputFields(show),
  {
    displayName: 'Options',
    name: 'options',
    type: 'collection',
    placeholder: 'Add option',
    default: {},
    displayOptions: show,
    options: [
      {
        displayName: 'Add Container ID',
        name: 'addContainerId',
        type: 'boolean',
        default: false,
        description: 'Whether to add the field container_id to every output item',
      },
      {
        displayName: 'Attach Everything',
        name: 'attachEverything',
        type: 'boolean',
        default: false,
        description:
          "Whether to output a single item for a mail: all files as binary data, the names of their fields in attachments (for 'Attachments' of Send Email), and the value of the code in result. Otherwise each entry of a list becomes an item.",
      },
      idleOption,
      keepContainerOption,
      linkOption,
      memoryOption,
      {
        displayName: 'On Code Error',
        name: 'onCodeError',
        type: 'options',
        default: 'stop',
        description:
          'What to do when the code raises an exception, exceeds a limit, or returns something that cannot be an item',
        options: [
          {
            name: 'Continue With Traceback',
            value: 'continue',
            description: 'Output one item whose error holds the name, the message and the traceback',
          },
          {
            name: 'Stop',
            value: 'stop',
            description: 'Fail like any other node: retry, stop the workflow or use the error output',
          },
        ],
      },
      outputFieldOption,
      splitFilesOption,
      {
        displayName: 'Timeout (Seconds)',
        name: 'timeout',
        type: 'number',
        default: 120,
        typeOptions: { minValue: 1, maxValue: 3600 },
        description: 'How long the code may run before it is interrupted',
      },
    ],
  },
];
