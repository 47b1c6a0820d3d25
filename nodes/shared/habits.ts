/** What people write who come from n8n's Code node or a notebook, and what to write here. */
import { PACKAGES_PAGE } from './pages';

const ITEMS = 'The incoming items are in the variables items (a list of dicts) and df (a pandas DataFrame).';

const HABITS: readonly (readonly [RegExp, string])[] = [
  [
    /^SyntaxError: 'return' outside function/,
    'Assign the output to the variable result instead of returning it.',
  ],
  [/^NameError: name '(_input|_items|_item|_json|_binary|_node|_)'/, ITEMS],
  [
    /^AttributeError: 'dict' object has no attribute 'json'/,
    "Items are plain dicts: write items[0]['name'] instead of items[0].json.name.",
  ],
  [/^KeyError: 'json'/, "Items are plain dicts: write items[0]['name'] instead of items[0]['json']['name']."],
  [
    /^ModuleNotFoundError: No module named '/,
    `Only the installed packages can be imported, for the sandbox has no network: ${PACKAGES_PAGE}`,
  ],
];

/** `message` as `SyntaxError: …`; empty where there is nothing to say. */
export const hintFor = (message: string): string =>
  HABITS.find(([pattern]) => pattern.test(message))?.[1] ?? '';
