/**
 * The language of the fake sandbox: one statement per line, `verb` or `verb:argument`. Anything else,
 * Python included, is a SyntaxError, as data. `\n` in a text is a line break.
 *
 *   print:TEXT  stderr:TEXT      a line on either stream
 *   result:TEXT  display:TEXT    what the last expression, and a rich display, show
 *   image                        a tiny PNG
 *   input:NAME                   prints an input as JSON, or raises NameError
 *   give:JSON                    the value that is given back
 *   set:NAME=VALUE  get:NAME     a variable; `get` prints it, or raises NameError
 *   write:PATH:TEXT  delete:PATH a file
 *   forge:PATH:TEXT              a file written anew, whose time of modification is set back
 *   fill:PATH:BYTES              a file of so many bytes
 *   raise:NAME:MESSAGE           an exception
 *   sleep:MS                     interruptible
 *   stubborn:MS                  ignores interrupts, so that only killing the kernel helps
 *   deaf:MS                      nothing ends it but the end of the sandbox
 *   flood:BYTES                  output
 *   oom  die                     the kernel is killed: for memory, or for no known reason
 *   end  burst                   the whole sandbox dies: for no known reason, or for memory
 */
export type Statement =
  | { readonly verb: 'print' | 'stderr' | 'result' | 'display'; readonly text: string }
  | { readonly verb: 'image' | 'oom' | 'die' | 'end' | 'burst' }
  | { readonly verb: 'set'; readonly name: string; readonly value: string }
  | { readonly verb: 'get'; readonly name: string }
  | { readonly verb: 'write' | 'forge'; readonly path: string; readonly text: string }
  | { readonly verb: 'input'; readonly name: string }
  | { readonly verb: 'give'; readonly json: string }
  | { readonly verb: 'delete'; readonly path: string }
  | { readonly verb: 'fill'; readonly path: string; readonly bytes: number }
  | { readonly verb: 'raise'; readonly name: string; readonly message: string }
  | { readonly verb: 'sleep' | 'stubborn' | 'deaf' | 'flood'; readonly amount: number };

const unescape = (text: string): string => text.replaceAll('\\n', '\n');

/** Splits at the first separator only. */
function cut(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

function parseLine(line: string): Statement | undefined {
  const [verb, rest] = cut(line, ':');
  const [first, second] = cut(rest, verb === 'set' ? '=' : ':');
  switch (verb) {
    case 'print':
    case 'stderr':
    case 'result':
    case 'display':
      return { verb, text: unescape(rest) };
    case 'image':
    case 'oom':
    case 'die':
    case 'end':
    case 'burst':
      return { verb };
    case 'set':
      return { verb, name: first, value: second };
    case 'get':
      return { verb, name: rest };
    case 'write':
    case 'forge':
      return { verb, path: first, text: unescape(second) };
    case 'input':
      return { verb, name: rest };
    case 'give':
      return { verb, json: rest };
    case 'delete':
      return { verb, path: rest };
    case 'fill':
      return { verb, path: first, bytes: Number(second) };
    case 'raise':
      return { verb, name: first, message: second };
    case 'sleep':
    case 'stubborn':
    case 'deaf':
    case 'flood':
      return { verb, amount: Number(rest) };
    default:
      return undefined;
  }
}

/** The statements of a program, or the first line that is none. */
export function parseProgram(code: string): readonly Statement[] | { readonly badLine: string } {
  const statements: Statement[] = [];
  for (const line of code.split('\n')) {
    if (line.trim() === '') continue;
    const statement = parseLine(line.trim());
    if (statement === undefined) return { badLine: line };
    statements.push(statement);
  }
  return statements;
}
