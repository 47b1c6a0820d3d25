/**
 * The program that is sent for a Run Code step. Values travel as Base64 of JSON, never as Python text, and
 * the user's code runs as a cell of its own, so tracebacks have its line numbers and nothing it prints can
 * be taken for its result: that is written to a file whose name is made up for each run.
 */

/** Above this many characters the items go into the container as a file. */
export const MAX_INLINE = 200_000;
export const RESULT_DIR = '/mnt/data/.n8n';

export type Returns = 'automatic' | 'result' | 'expression' | 'printed' | 'details';

export interface Program {
  code: string;
  /** Random, for the name of the result file. */
  token: string;
  returns: Returns;
  /** The names that the code gets: `items`, `files` … */
  variables: Record<string, unknown>;
  /** Where the JSON of `variables` was uploaded, if it is too long to be part of the program. */
  variablesPath?: string;
}

const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');

export const resultPath = (token: string): string => `${RESULT_DIR}/result-${token}.json`;

export function programOf({ code, token, returns, variables, variablesPath }: Program): string {
  const source =
    variablesPath === undefined
      ? `text=${quoted(JSON.stringify(variables))}`
      : `path=${quoted(variablesPath)}`;
  const call = `_n8n_step(code=${quoted(code)}, returns=${quoted(returns)}, target=${quoted(resultPath(token))}, ${source})`;
  return `${PRELUDE}\n\n${call}\ndel _n8n_step`;
}

/** Any text as a Python expression: ASCII letters only between the quotes. */
const quoted = (text: string): string => `_n8n_text("${base64(text)}")`;

const PRELUDE = `# Sent by the n8n node; the code of the step is in the last call, as Base64.
def _n8n_text(data):
    import base64

    return base64.b64decode(data).decode("utf-8")


def _n8n_step(code, returns, target, text=None, path=None):
    import json
    import os

    shell = get_ipython()
    if path is not None:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        os.remove(path)
    names = json.loads(text)
    try:
        import pandas

        names["df"] = pandas.DataFrame(names["items"])
    except Exception as error:
        names["df"] = None
    shell.user_ns.pop("result", None)
    shell.user_ns.update(names)
    outcome = shell.run_cell(code, store_history=False)
    if not outcome.success or returns in ("printed", "details"):
        return

    missing = object()

    class Unfit(TypeError):
        pass

    def number(value):
        return value if value == value and value not in (float("inf"), float("-inf")) else None

    def plain(value, strict, depth=0):
        if value is None or isinstance(value, (bool, int, str)):
            return value if type(value) in (type(None), bool, int, str) else plain_scalar(value)
        if isinstance(value, float):
            return number(float(value))
        if depth > 60:
            raise Unfit("the value is nested too deeply")
        if isinstance(value, dict):
            return {key_of(key): plain(each, strict, depth + 1) for key, each in value.items()}
        if isinstance(value, (list, tuple, set, frozenset, range)):
            return [plain(each, strict, depth + 1) for each in value]
        return other(value, strict, depth)

    def plain_scalar(value):
        for kind in (bool, int, str):
            if isinstance(value, kind):
                return kind(value)

    def key_of(key):
        if isinstance(key, tuple):
            return " ".join(str(each) for each in key if each != "")
        return key if type(key) is str else str(key)

    def other(value, strict, depth):
        import datetime
        import decimal
        import sys

        pandas = sys.modules.get("pandas")
        numpy = sys.modules.get("numpy")
        if pandas is not None:
            if value is pandas.NaT or value is getattr(pandas, "NA", None):
                return None
            if isinstance(value, pandas.DataFrame):
                named = value if isinstance(value.index, pandas.RangeIndex) else value.reset_index()
                columns = [key_of(column) for column in named.columns]
                rows = named.itertuples(index=False, name=None)
                return [{c: plain(v, strict, depth + 1) for c, v in zip(columns, row)} for row in rows]
            if isinstance(value, pandas.Series):
                if isinstance(value.index, pandas.RangeIndex):
                    return [plain(each, strict, depth + 1) for each in value.tolist()]
                return {key_of(key): plain(each, strict, depth + 1) for key, each in value.items()}
            if isinstance(value, pandas.Index):
                return [plain(each, strict, depth + 1) for each in value.tolist()]
            if isinstance(value, (pandas.Period, pandas.Timedelta, pandas.Interval)):
                return str(value)
        if numpy is not None:
            if isinstance(value, numpy.ndarray):
                return plain(value.tolist(), strict, depth + 1)
            if isinstance(value, numpy.datetime64):
                return None if numpy.isnat(value) else str(value)
            if isinstance(value, numpy.generic):
                return plain(value.item(), strict, depth + 1)
        if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
            return value.isoformat()
        if isinstance(value, (datetime.timedelta, os.PathLike)):
            return str(value)
        if isinstance(value, decimal.Decimal):
            return number(float(value))
        if hasattr(value, "__dataclass_fields__"):
            fields = value.__dataclass_fields__
            return {name: plain(getattr(value, name), strict, depth + 1) for name in fields}
        if strict:
            raise Unfit("a value of type " + type(value).__name__ + " cannot become JSON")
        return str(value)

    found, value = None, missing
    if returns in ("automatic", "result") and "result" in shell.user_ns:
        found, value = "result", plain(shell.user_ns["result"], False)
    elif returns in ("automatic", "expression") and outcome.result is not None:
        try:
            found, value = "expression", plain(outcome.result, returns == "automatic")
        except Unfit:
            return
    if value is missing:
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "w", encoding="utf-8", errors="replace") as file:
        json.dump({"from": found, "value": value}, file, allow_nan=False)`;
