/** The same little programs for every driver: Python for real sandboxes, the fake's own language. */

export interface Dialect {
  print(text: string): string;
  printError(text: string): string;
  /** A last expression with this repr. */
  result(value: number): string;
  set(name: string, value: number): string;
  printVariable(name: string): string;
  /** Prints an input as JSON. */
  printInput(name: string): string;
  /** Sets the variable `result` to what this JSON says. */
  giveBack(json: string): string;
  raise(name: string, message: string): string;
  sleep(milliseconds: number): string;
  /** Goes on when interrupted. */
  stubborn(milliseconds: number): string;
  flood(bytes: number): string;
  image(): string;
  write(path: string, text: string): string;
  /** Writes a file anew and sets its time of modification back. */
  forge(path: string, text: string): string;
  remove(path: string): string;
  fill(path: string, bytes: number): string;
  outOfMemory(): string;
  kernelDies(): string;
}

const quoted = (text: string): string => JSON.stringify(text);

export const python: Dialect = {
  print: (text) => `print(${quoted(text)}, flush=True)`,
  printError: (text) => `import sys; print(${quoted(text)}, file=sys.stderr, flush=True)`,
  result: (value) => `${value}`,
  set: (name, value) => `${name} = ${value}`,
  printVariable: (name) => `print(${name})`,
  printInput: (name) => `import json; print(json.dumps(${name}))`,
  giveBack: (json) => `import json; result = json.loads(${quoted(json)})`,
  raise: (name, message) => `raise ${name}(${quoted(message)})`,
  sleep: (milliseconds) => `import time; time.sleep(${milliseconds / 1000})`,
  stubborn: (milliseconds) =>
    [
      'import time',
      `_end = time.monotonic() + ${milliseconds / 1000}`,
      'while time.monotonic() < _end:',
      '    try:',
      '        while time.monotonic() < _end: time.sleep(0.01)',
      '    except KeyboardInterrupt: pass',
    ].join('\n'),
  flood: (bytes) => `print("x" * ${bytes})`,
  image: () => 'import matplotlib.pyplot as plt; _ = plt.plot([1, 2, 4]); plt.show()',
  write: (path, text) => `_ = open(${quoted(path)}, "w").write(${quoted(text)})`,
  forge: (path, text) =>
    [
      'import os',
      `_before = os.stat(${quoted(path)})`,
      `with open(${quoted(path)}, "w") as f: _ = f.write(${quoted(text)})`,
      `os.utime(${quoted(path)}, ns=(_before.st_atime_ns, _before.st_mtime_ns))`,
    ].join('\n'),
  remove: (path) => `import os; os.remove(${quoted(path)})`,
  fill: (path, bytes) =>
    [
      `with open(${quoted(path)}, "wb") as f:`,
      `    for _ in range(${bytes >> 20}): _ = f.write(bytes(1 << 20))`,
    ].join('\n'),
  outOfMemory: () => '_hog = []\nwhile True: _hog.append(b"x" * 20_000_000)',
  kernelDies: () => 'import os; os._exit(1)',
};

export const fakeLanguage: Dialect = {
  print: (text) => `print:${text}`,
  printError: (text) => `stderr:${text}`,
  result: (value) => `result:${value}`,
  set: (name, value) => `set:${name}=${value}`,
  printVariable: (name) => `get:${name}`,
  printInput: (name) => `input:${name}`,
  giveBack: (json) => `give:${json}`,
  raise: (name, message) => `raise:${name}:${message}`,
  sleep: (milliseconds) => `sleep:${milliseconds}`,
  stubborn: (milliseconds) => `stubborn:${milliseconds}`,
  flood: (bytes) => `flood:${bytes}`,
  image: () => 'image',
  write: (path, text) => `write:${path}:${text}`,
  forge: (path, text) => `forge:${path}:${text}`,
  remove: (path) => `delete:${path}`,
  fill: (path, bytes) => `fill:${path}:${bytes}`,
  outOfMemory: () => 'oom',
  kernelDies: () => 'die',
};
