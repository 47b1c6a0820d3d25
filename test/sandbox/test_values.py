"""What code gets under the names of its inputs, and what comes back as a value: no figure may change on the way."""

import json
import time
import unittest
from typing import Any

from client import Failed, Result
from harness import GVISOR, SandboxTest

NEEDS_IMAGE = unittest.skipUnless(GVISOR, "needs the libraries of the image")


class Values(SandboxTest):
    options = {"preload": ""}

    def give(self, code: str, returns: str = "automatic", **fields: Any) -> Result:
        result = self.client.run(code, returns=returns, **fields)
        self.assertEqual(result.of("error"), [])
        return result

    def value(self, code: str, returns: str = "automatic", **fields: Any) -> Any:
        return self.give(code, returns, **fields).value()

    def with_inputs(self, code: str, inputs: object, **fields: Any) -> Result:
        return self.client.run_long(code, json.dumps(inputs).encode(), **fields)


class Inputs(Values):
    def test_are_bound_to_their_names(self) -> None:
        inputs = {"größe": 3, "rows": [{"a": 1}, {"a": None}], "text": "Ü\u2028\0 \U0001f600"}
        result = self.with_inputs("result = [größe, rows, text]", inputs, returns="result")
        self.assertEqual(result.value(), list(inputs.values()))
        self.assertEqual(self.value("größe"), 3)

    def test_of_many_frames(self) -> None:
        result = self.with_inputs("print(len(words), words[-1])", {"words": ["word"] * 400_000 + ["last"]})
        self.assertEqual(result.text(), "400001 last\n")

    def test_stand_beside_a_long_program(self) -> None:
        result = self.with_inputs("#" * 1_500_000 + "\nprint(x)", {"x": 7})
        self.assertEqual(result.text(), "7\n")

    def test_come_from_files(self) -> None:
        self.client.put(self.sandbox.path("given.json"), b'[{"n": 5}]')
        result = self.client.run("rows[0]['n']", returns="expression", inputs_from={"rows": self.sandbox.path("given.json")})
        self.assertEqual(result.value(), 5)
        (error,) = self.client.run("1", inputs_from={"rows": self.sandbox.path("none.json")}).of("error")
        self.assertIn("No such file", error["value"])

    def test_that_are_wrong_are_an_error_and_nothing_runs(self) -> None:
        self.client.run("ran = False")
        for inputs, message in (
            (b"[1]", "inputs is not a JSON object"),
            (b'{"a": ', "inputs is not JSON"),
            (b"[" * 200_000, "inputs is not JSON"),
            (b'{"class": 1}', "'class' cannot be the name of a variable"),
            (b'{"a b": 1}', "'a b' cannot be the name of a variable"),
            (b'{"__builtins__": 1}', "'__builtins__' cannot be the name of a variable"),
        ):
            with self.subTest(inputs=inputs[:20]):
                result = self.client.run_long("ran = True", inputs)
                (error,) = result.of("error")
                self.assertEqual((error["name"], error["value"][: len(message)]), ("BadInput", message))
                self.assertEqual(result.done["status"], "completed")
                self.assertNotIn("inputs.py", error["traceback"])
        self.assertEqual(self.value("ran"), False)

    def test_requests_that_no_host_sends_are_refused(self) -> None:
        for fields in (
            {"inputs_bytes": -1},
            {"inputs_bytes": 33_554_433},
            {"inputs_bytes": 5},
            {"returns": "everything"},
            {"dataframes": ["df"]},
            {"inputs_from": {"a": 1}},
            {"max_value_bytes": 0},
        ):
            with self.subTest(fields=fields), self.assertRaises(Failed):
                self.client.run("1", **fields)
        self.assert_healthy()

    @NEEDS_IMAGE
    def test_become_data_frames(self) -> None:
        rows = [{"city": "Köln", "sales": 2}, {"city": "Rome"}]
        result = self.with_inputs("df['sales'].sum() + len(rows)", {"rows": rows}, dataframes={"df": "rows"}, returns="expression")
        self.assertEqual(result.value(), 4.0)
        (error,) = self.with_inputs("1", {"rows": 5}, dataframes={"df": "rows"}).of("error")
        self.assertIn("rows is no table", error["value"])
        (error,) = self.with_inputs("1", {"rows": []}, dataframes={"df": "items"}).of("error")
        self.assertIn("there is no input items", error["value"])


class WhichValue(Values):
    def test_nothing_unless_asked(self) -> None:
        self.assertIs(self.client.run("result = 1").value(), ...)
        self.assertIs(self.value("result = 1", "none"), ...)
        self.assertIs(self.value("pass"), ...)

    def test_result_before_the_last_line(self) -> None:
        self.assertEqual(self.value("result = 2\n1"), 2)
        self.assertEqual(self.value("result = 2\n1", "expression"), 1)
        self.assertIs(self.value("x = 2\n1", "result"), ...)
        self.assertEqual(self.value("result = None"), None)

    def test_a_result_of_an_earlier_cell_is_none_of_this_one(self) -> None:
        self.client.run("result = [1]")
        self.assertIs(self.value("x = 1"), ...)
        self.assertIs(self.value("print(result)"), ...)
        self.assertEqual(self.value("result.append(2)"), [1, 2])
        self.assertEqual(self.value("result[0] = 5"), [5, 2])
        self.assertEqual(self.value("result = result"), [5, 2])
        self.assertEqual(self.value("exec('result = 7')"), 7)
        self.assertEqual(self.value("for result in (7, 8): pass"), 8)
        self.assertEqual(self.value("result"), 8)

    def test_of_code_that_raises_there_is_none(self) -> None:
        result = self.client.run("result = 1\n1 / 0", returns="automatic")
        self.assertIs(result.value(), ...)

    def test_what_is_written_by_the_way_is_no_value(self) -> None:
        for code in ("open('a.txt', 'w').write('12')", "from pathlib import Path\nPath('a.txt').write_text('12')"):
            with self.subTest(code=code):
                self.assertIs(self.value(code), ...)
        self.assertEqual(self.value("open('a.txt', 'w').write('12')", "expression"), 2)
        self.assertEqual(self.value("{'a': 1}.get('a')"), 1)
        self.assertEqual(self.value("import os\nlen(os.sep)"), 1)

    @NEEDS_IMAGE
    def test_what_is_drawn_by_the_way_is_no_value(self) -> None:
        for line in ("plt.axis('off')", "plt.plot([1])", "plt.gca().set_xlim(0, 1)", "ax.set_xlim(0, 1)", "fig.savefig('a.png')"):
            with self.subTest(line=line):
                self.assertIs(self.value(f"import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\n{line}"), ...)

    def test_magics_and_await_do_not_hide_it(self) -> None:
        self.assertEqual(self.value("%pwd\nresult = 1"), 1)
        self.assertEqual(self.value("import asyncio\nawait asyncio.sleep(0, 'later')"), "later")

    def test_nothing_of_ours_is_seen(self) -> None:
        before = self.value("[name for name in globals() if not name.startswith('_')]")
        self.assertEqual(self.value("sorted(set(globals()) - {'x'})", "expression") and before, before)
        (error,) = self.client.run("x = 1\n\nraise ValueError('here')", returns="automatic").of("error")
        self.assertIn("----> 3 raise ValueError('here')", error["traceback"])


class Exact(Values):
    """Each as the value of an expression, `plain` what it must be."""

    def check(self, code: str, plain: object, note: str = "") -> None:
        with self.subTest(code=code):
            result = self.give(code, "expression")
            self.assertEqual(json.dumps(result.value()), json.dumps(plain))
            self.assertEqual(result.notice("value_converted"), note)

    def test_plain_things(self) -> None:
        for value in (0, -1.5, True, "", "Ü\u2028 \U0001f600\0", [], {}, [[1], {"a": [None]}], 9007199254740991, 1e300):
            self.check(repr(value), value)
        self.check("(1, range(2), {3}, frozenset([4]))", [1, [0, 1], [3], [4]])
        self.check("[float('nan'), float('inf'), -float('inf')]", [None, None, None])
        self.check("'a\\ud800b'", "a\ufffdb")
        self.check("{1: 'a', (2, 'x'): 'b', None: 'c', True: 'd'}", {"1": "d", "2 x": "b", "None": "c"})

    def test_no_digit_is_lost(self) -> None:
        text = "Returned as text, because readers of JSON would round it: "
        self.check("2**62", "4611686018427387904", f"{text}expression.")
        self.check("[{'id': -2**53}]", [{"id": "-9007199254740992"}], f"{text}expression[0]['id'].")
        self.check("from decimal import Decimal\nDecimal('12345678901234567890.12')", "12345678901234567890.12", f"{text}expression.")
        self.check("[Decimal('12.50'), Decimal('0.1'), Decimal('3'), Decimal('1E+3'), Decimal('NaN')]", [12.5, 0.1, 3, 1000, None])
        self.check("[2**60] * 5", [str(2**60)] * 5, f"{text}expression[0], expression[1], expression[2] and 2 more.")

    def test_names_that_are_there_twice(self) -> None:
        note = "Returned under another name, because the name is there twice: expression['1_2']."
        self.check("{1: 'number', '1': 'text'}", {"1": "number", "1_2": "text"}, note)

    def test_times(self) -> None:
        code = "import datetime as d\nz = d.timezone(d.timedelta(hours=2))\n"
        self.check(code + "d.datetime(2026, 3, 1, 12, tzinfo=z)", "2026-03-01T12:00:00+02:00")
        self.check("[d.date(2026, 3, 1), d.time(8, 30), d.timedelta(days=1)]", ["2026-03-01", "08:30:00", "1 day, 0:00:00"])

    def test_other_things_of_python(self) -> None:
        self.check("b'\\xff\\x00'", "/wA=", "Returned as Base64: expression.")
        self.check("import enum\nclass E(enum.Enum):\n    A = 'a'\n[E.A]", ["a"])
        self.check("from collections import namedtuple\nnamedtuple('P', 'x y')(1, 2)", {"x": 1, "y": 2})
        self.check("from dataclasses import dataclass\n@dataclass\nclass D:\n    n: int\n[D(4)]", [{"n": 4}])
        self.check("from collections import Counter, deque\n[Counter('aab'), deque([1])]", [{"a": 2, "b": 1}, [1]])
        self.check("import pathlib, uuid\n[pathlib.Path('a/b'), uuid.UUID(int=1)]", ["a/b", "00000000-0000-0000-0000-000000000001"])
        note = "Returned as text, because it has no JSON form: expression['model'] (complex)."
        self.check("{'model': 1 + 2j}", {"model": "(1+2j)"}, note)

    @NEEDS_IMAGE
    def test_tables(self) -> None:
        self.client.run("import pandas as pd, numpy as np")
        twice = "Returned under another name, because the name is there twice: expression['a_2']."
        self.check("pd.DataFrame([[1, 2]], columns=['a', 'a'])", [{"a": 1, "a_2": 2}], twice)
        self.check("pd.DataFrame({'x': [1, 2, 3]})[lambda d: d.x > 1]", [{"x": 2}, {"x": 3}])
        self.check("pd.DataFrame({'k': ['a', 'a'], 'v': [1, 2]}).groupby('k').sum()", [{"k": "a", "v": 3}])
        self.check("pd.DataFrame({'v': [1]}, index=['row'])", [{"index": "row", "v": 1}])
        self.check("pd.DataFrame({'v': [1]}, index=pd.Index(['r'], name='v'))", [{"v": "r", "v_2": 1}], twice.replace("a_2", "v_2"))
        self.check("pd.DataFrame({('a', 'x'): [1], ('a', ''): [2]})", [{"a x": 1, "a": 2}])
        self.check("pd.DataFrame()", [])
        self.check("pd.DataFrame(columns=['a'])", [])
        ids = "Returned as text, because readers of JSON would round it: expression['id']."
        self.check("pd.DataFrame({'id': [2**60, 7]})", [{"id": str(2**60)}, {"id": "7"}], ids)
        self.check("pd.DataFrame({'t': pd.to_datetime(['2026-01-01', None]).tz_localize('UTC')})", [{"t": "2026-01-01T00:00:00+00:00"}, {"t": None}])
        self.check("pd.DataFrame({'c': pd.Categorical(['b', None]), 'n': pd.array([1, None], dtype='Int64')})", [{"c": "b", "n": 1}, {"c": None, "n": None}])
        self.check("pd.DataFrame({'l': [[1], {'a': np.int8(2)}]})", [{"l": [1]}, {"l": {"a": 2}}])
        self.check("pd.Series([1.5, np.nan])", [1.5, None])
        self.check("pd.Series({'a': 1, 'b': 2})", {"a": 1, "b": 2})
        self.check("pd.Series([1, 2], index=['a', 'a'], name='n')", [{"index": "a", "n": 1}, {"index": "a", "n": 2}])
        self.check("pd.Categorical(['x', 'y'])", ["x", "y"])
        self.check("pd.period_range('2026-01', periods=1, freq='M')", ["2026-01"])
        self.check("[pd.NaT, pd.NA, pd.Timestamp('2026-01-01'), pd.Timedelta('1h')]", [None, None, "2026-01-01T00:00:00", "0 days 01:00:00"])

    @NEEDS_IMAGE
    def test_arrays(self) -> None:
        self.client.run("import numpy as np")
        self.check("[np.int64(3), np.float32(0.5), np.bool_(True), np.str_('s'), np.float64('nan')]", [3, 0.5, True, "s", None])
        self.check("np.array([[1, 2], [3, 4]])", [[1, 2], [3, 4]])
        self.check("np.array(['2026-01-01', 'NaT'], dtype='datetime64[ns]')", ["2026-01-01T00:00:00.000000000", None])
        self.check("np.array([(1, 'a')], dtype=[('n', 'i4'), ('s', 'U1')])", [{"n": 1, "s": "a"}])
        self.check("np.array(5)", 5)
        self.check("np.ma.array([1, 2], mask=[0, 1])", [1, None])
        self.check("np.longdouble(1.5)", 1.5)

    @NEEDS_IMAGE
    def test_other_libraries(self) -> None:
        self.check("import polars as pl\npl.DataFrame({'a': [1, None], 'd': [[1], []]})", [{"a": 1, "d": [1]}, {"a": None, "d": []}])
        self.check("import pyarrow as pa\npa.table({'a': [1]})", [{"a": 1}])


class Refused(Values):
    def refused(self, code: str, words: str, **fields: Any) -> None:
        with self.subTest(code=code):
            result = self.give(code, "result", **fields)
            self.assertIs(result.value(), ...)
            self.assertIn(words, result.notice("value_dropped"))

    def test_with_a_clear_word(self) -> None:
        self.refused("result = {'rows': (n for n in [1])}", "result['rows'] is a generator, which has no values until it is read: use list().")
        self.refused("result = []\nresult.append({'me': result})", "result[0]['me'] contains itself")
        self.refused("result = 0\nfor _ in range(100): result = [result]", "is nested more than 64 levels deep")
        self.refused("async def f(): pass\nresult = f()", "result is a coroutine that has not run: put await in front of it.")
        self.refused("class Odd:\n    def __str__(self): raise ValueError('no')\nresult = Odd()", "ValueError: no")
        self.assertIs(self.value("object()"), ...)
        self.assertEqual(self.give("object()").notices(), [])

    def test_what_is_too_long(self) -> None:
        self.refused("result = 'x' * 2_000", "result is longer than 1,024 bytes as JSON", max_value_bytes=1_024)
        self.refused("result = ['ü'] * 300", "is longer than", max_value_bytes=1_024)
        begun = time.monotonic()
        self.refused("result = range(10**12)", "is longer than")
        self.assertLess(time.monotonic() - begun, 30)
        self.assertEqual(self.value("'x' * 3_000_000", "expression"), "x" * 3_000_000)

    def test_what_takes_too_long_is_interrupted(self) -> None:
        code = "class Slow:\n    def __str__(self):\n        while True: pass\nresult = Slow()"
        result = self.client.run(code, returns="result", timeout_ms=500)
        self.assertEqual((result.done["status"], result.value()), ("timed_out", ...))
        self.assert_healthy()


if __name__ == "__main__":
    unittest.main()
