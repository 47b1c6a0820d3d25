/** The types of the newest official client against what docs/compatibility.md says: news there are noticed here. */
import { resolve } from 'node:path';
import ts from 'typescript';
import { beforeAll, describe, expect, it } from 'vitest';
import { ABSENT } from '../../../orchestrator/src/cli/compatibility-absent.js';
import { compatibilityPage } from '../../../orchestrator/src/cli/compatibility-page.js';
import {
  EVENTS,
  INCLUDES,
  INPUT_ITEMS,
  PARTS,
  REQUEST,
  RESPONSE,
  TOOLS,
} from '../../../orchestrator/src/cli/compatibility-tables.js';
import { createResponseSchema } from '../../../orchestrator/src/responses/response.schema.js';

const TYPES = resolve(import.meta.dirname, '../../../node_modules/openai/resources/responses/responses.d.ts');

let checker: ts.TypeChecker;
let exported: readonly ts.Symbol[];
beforeAll(() => {
  const program = ts.createProgram([TYPES], {
    skipLibCheck: true,
    strict: true,
    target: ts.ScriptTarget.ESNext,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
  });
  checker = program.getTypeChecker();
  const file = program.getSourceFile(TYPES);
  exported = checker.getExportsOfModule(checker.getSymbolAtLocation(file!)!);
}, 120_000);

function typeOf(name: string): ts.Type {
  const symbol = exported.find((each) => each.name === name);
  if (!symbol) throw new Error(`the client has no type ${name} any more`);
  return checker.getDeclaredTypeOfSymbol(symbol);
}

const fieldsOf = (name: string): string[] =>
  checker.getPropertiesOfType(typeOf(name)).map((each) => each.name);

const membersOf = (type: ts.Type): readonly ts.Type[] => (type.isUnion() ? type.types : [type]);

/** Values of a union of texts. */
const valuesOf = (type: ts.Type): string[] =>
  membersOf(type).flatMap((each) => (each.isStringLiteral() ? [each.value] : []));

/** The `type` of each member of a union of objects. */
const kindsOf = (name: string): string[] => [
  ...new Set(
    membersOf(typeOf(name)).flatMap((member) => {
      const kind = member.getProperty('type');
      return kind ? valuesOf(checker.getNonNullableType(checker.getTypeOfSymbol(kind))) : [];
    }),
  ),
];

/** Ours in a request; an old name of an `include`, which clients still send. */
const EXTENSIONS = new Set(['callback_url']);
/** Computed by the client out of the output. */
const COMPUTED = new Set(['output_text']);

const CASES: Readonly<
  Record<
    string,
    { theirs: () => string[]; told: object; absent: readonly string[]; more?: readonly string[] }
  >
> = {
  'fields of a request': {
    theirs: () => fieldsOf('ResponseCreateParamsBase'),
    told: REQUEST,
    absent: [],
    more: [...EXTENSIONS],
  },
  'fields of a response': {
    theirs: () => fieldsOf('Response').filter((field) => !COMPUTED.has(field)),
    told: RESPONSE,
    absent: ABSENT.responseFields.names,
    // Of OpenAI's document and replies, not of the client's types.
    more: ['frequency_penalty', 'presence_penalty', 'store'],
  },
  tools: { theirs: () => kindsOf('Tool'), told: TOOLS, absent: ABSENT.tools.names },
  'input items': {
    theirs: () => [...new Set([...kindsOf('ResponseInputItem'), ...kindsOf('ResponseOutputItem')])],
    told: INPUT_ITEMS,
    absent: ABSENT.items.names,
  },
  'parts of an input': {
    theirs: () => kindsOf('ResponseInputContent'),
    told: PARTS,
    absent: [],
    more: ['output_text', 'refusal'],
  },
  'values of include': { theirs: () => valuesOf(typeOf('ResponseIncludable')), told: INCLUDES, absent: [] },
  events: { theirs: () => kindsOf('ResponseStreamEvent'), told: EVENTS, absent: ABSENT.events.names },
};

describe('docs/compatibility.md knows, of the newest client,', () => {
  it.each(Object.entries(CASES))('all %s', (_, { theirs, told, absent, more = [] }) => {
    const known = [...Object.keys(told), ...absent];
    expect(known.filter((name, index) => known.indexOf(name) !== index)).toEqual([]);
    expect(known.filter((name) => !more.includes(name)).toSorted()).toEqual(theirs().toSorted());
  });

  it('all fields of a function', () => {
    const extra = Object.fromEntries(fieldsOf('FunctionTool').map((field) => [field, undefined]));
    const values: Record<string, unknown> = {
      ...extra,
      type: 'function',
      name: 'f',
      parameters: {},
      strict: true,
      description: '',
      allowed_callers: ['direct'],
      defer_loading: false,
      output_schema: {},
      async: true,
    };
    expect(Object.entries(values).filter(([, value]) => value === undefined)).toEqual([]);
    const refused = Object.keys(values).filter((field) => {
      const tool = { type: 'function', name: 'f', [field]: values[field] };
      return !createResponseSchema.safeParse({ model: 'm', tools: [tool] }).success;
    });
    expect(refused).toEqual(ABSENT.functionFields.names);
  });

  it('says that there is no WebSocket', () => {
    expect(compatibilityPage()).toContain('WebSocket');
  });
});
