"""Running code: state, values, pictures, errors, order, changed files."""

import time
import unittest

from client import Client, Failed
from harness import Sandbox, SandboxTest, require

PNG = b"\x89PNG\r\n\x1a\n"


class Execute(SandboxTest):
    def test_state_and_result(self) -> None:
        self.client.run("x = 40")
        result = self.client.run("print('hello'); x + 2")
        self.assertEqual([header["event"] for header, _ in result.events], ["started", "stdout", "result", "done"])
        self.assertEqual(result.text("result"), "42")
        self.assertEqual(result.done["status"], "completed")
        self.assertGreater(result.done["peak_memory_bytes"], 0)

    def test_semicolon_hides_the_result(self) -> None:
        self.assertEqual(self.client.run("1 + 1;").of("result"), [])

    def test_top_level_await(self) -> None:
        self.assertEqual(self.client.run("import asyncio\nawait asyncio.sleep(0, 'later')").text("result"), "'later'")

    def test_nothing_of_ours_in_the_users_names(self) -> None:
        self.assertEqual(self.run_text("print('np' in globals(), 'pd' in globals(), 'plt' in globals())"), "False False False\n")

    def test_errors_are_data(self) -> None:
        result = self.client.run("def f():\n    return 1 / 0\nf()")
        (error,) = result.of("error")
        self.assertEqual((error["name"], error["value"]), ("ZeroDivisionError", "division by zero"))
        self.assertIn("in f()", error["traceback"])
        self.assertNotIn("\x1b", error["traceback"])
        self.assertEqual(result.done["status"], "completed")

    def test_syntax_error(self) -> None:
        (error,) = self.client.run("x = = 1").of("error")
        self.assertEqual((error["name"], error["value"]), ("SyntaxError", "invalid syntax (line 1)"))

    def test_exit_keeps_state(self) -> None:
        self.client.run("kept = 1")
        for code in ("exit()", "quit()", "exit", "import sys; sys.exit(3)", "raise SystemExit"):
            with self.subTest(code=code):
                result = self.client.run(code)
                self.assertEqual([error["name"] for error in result.of("error")], ["SystemExit"])
                self.assertEqual(result.done["state_lost"], False)
        self.assertEqual(self.client.run("kept").text("result"), "1")

    def test_nobody_at_the_keyboard(self) -> None:
        for code in ("input()", "import getpass; getpass.getpass()", "breakpoint()", "import pdb; pdb.set_trace()"):
            with self.subTest(code=code):
                result = self.client.run(code, timeout_ms=10_000)
                self.assertEqual([error["name"] for error in result.of("error")], ["StdinNotImplementedError"])
        self.assertEqual(self.client.run("1/0").done["status"], "completed")
        self.assertEqual(self.client.run("%debug", timeout_ms=10_000).done["status"], "completed")
        self.assertEqual(self.client.run("import sys; sys.stdin.read()").text("result"), "''")

    def test_shell_and_magics(self) -> None:
        self.assertEqual(self.client.run("!echo out; echo err >&2").text("stdout"), "out\n")
        self.assertIn("err", self.client.run("%%bash\necho err >&2").text("stderr"))
        self.assertEqual(self.client.run("%nonsense").of("error")[0]["name"], "UsageError")
        self.assertIn("loop", self.run_text("%timeit -n1 -r1 1"))

    def test_order_of_everything(self) -> None:
        result = self.client.run(
            "import sys, os, subprocess\n"
            "print('a', end='')\n"
            "subprocess.run(['echo', 'b'])\n"
            "print('c', file=sys.stderr)\n"
            "print('d')\n"
            "display('e')\n"
            "print('f')\n"
            "os.write(2, b'g')\n"
            "display('h')\n"
        )
        found = [(header["event"], header["text"]) for header, _ in result.events if "text" in header]
        wanted = [("stdout", "ab\n"), ("stderr", "c\n"), ("stdout", "d\n"), ("display", "'e'"), ("stdout", "f\n")]
        wanted += [("stderr", "g"), ("display", "'h'")]
        merged: list[tuple[str, str]] = []
        for event, text in found:
            if merged and merged[-1][0] == event != "display":
                merged[-1] = (event, merged[-1][1] + text)
            else:
                merged.append((event, text))
        self.assertEqual(merged, wanted)

    def test_output_is_live(self) -> None:
        self.client.send({"op": "execute", "code": "import time\nfor i in range(500): print(i)\nprint('x', end='')\ntime.sleep(3)"})
        begun, text = time.monotonic(), ""
        while "499" not in text or not text.endswith("x"):
            header, _ = self.client.receive()
            text += header.get("text", "")
        self.assertLess(time.monotonic() - begun, 2)
        self.client.finish()

    def test_output_of_c_code(self) -> None:
        code = "import ctypes, os\nctypes.CDLL(None).printf(b'from c\\n')\nos.write(1, b'raw\\xff\\n')"
        text = self.run_text(code)
        self.assertIn("from c\n", text)
        self.assertIn("raw\ufffd\n", text)

    def test_odd_characters(self) -> None:
        text = self.run_text("print('\\ud800|\\0|\\u2028|\\x1b[31m|é|' + chr(0x1F600))")
        self.assertEqual(text, "\ufffd|\0|\u2028|\x1b[31m|é|\U0001f600\n")

    def test_display_and_markdown(self) -> None:
        result = self.client.run("from IPython.display import HTML, Markdown\ndisplay({'a': 1}, HTML('<b>'), Markdown('# t'))")
        self.assertEqual([d["text"] for d in result.of("display")], ["{'a': 1}", "<IPython.core.display.HTML object>", "# t"])

    def test_forked_child_is_no_kernel(self) -> None:
        result = self.client.run("import os\nif os.fork() == 0:\n    print('child')\nelse:\n    os.wait()\n    print('parent')")
        self.assertEqual(result.text(), "child\nparent\n")
        self.assert_healthy()

    def test_multiprocessing(self) -> None:
        code = "import multiprocessing as m\ndef f(x): return x * x\nwith m.get_context('fork').Pool(2) as p: print(p.map(f, [1, 2, 3]))"
        self.assertEqual(self.run_text(code), "[1, 4, 9]\n")

    def test_files_are_reported(self) -> None:
        name = self.sandbox.path
        result = self.client.run("import os\nos.makedirs('deep/er', exist_ok=True)\nopen('deep/er/a', 'w').write('1')\nopen('b', 'w').write('22');")
        self.assertEqual(result.files(), {name("deep/er/a"): "created", name("b"): "created"})
        result = self.client.run("open('b', 'r+').write('33'); s = os.stat('b'); os.utime('b', ns=(1, 1)); os.unlink('deep/er/a')")
        self.assertEqual(result.files(), {name("b"): "modified", name("deep/er/a"): "deleted"})
        hidden = "for d in ('.cache', '__pycache__', '.ipynb_checkpoints'):\n    os.makedirs(d, exist_ok=True); open(d + '/x', 'w')\nos.symlink('b', 'link')"
        self.assertEqual(self.client.run(hidden).files(), {})
        self.assertEqual(self.client.run("1").files(), {})

    def test_uploads_are_no_changes(self) -> None:
        with Client(self.sandbox.socket) as other:
            other.put(self.sandbox.path("up.txt"), b"1")
            self.assertEqual(self.client.run("1").files(), {})
            other.ask("remove", path=self.sandbox.path("up.txt"))
            self.assertEqual(self.client.run("1").files(), {})
            other.put(self.sandbox.path("up.txt"), b"1")
        self.assertEqual(self.client.run("open('up.txt', 'w').write('22');").files(), {self.sandbox.path("up.txt"): "modified"})

    def test_users_modules_do_not_stand_in(self) -> None:
        self.client.run("open('random.py', 'w').write('evil = 1'); open('mine.py', 'w').write('v = 5')")
        self.client.ask("restart")
        self.assertEqual(self.client.run("import random, mine; (hasattr(random, 'evil'), mine.v)").text("result"), "(False, 5)")
        self.client.run("import os; os.unlink('random.py'); os.unlink('mine.py')")

    def test_code_in_the_payload(self) -> None:
        identifier = self.client.send({"op": "execute"}, b"print(len('" + b"x" * 500_000 + b"'))")
        self.assertEqual(identifier, self.client.finish().done["id"])

    def test_code_at_the_same_time_is_refused(self) -> None:
        with Client(self.sandbox.socket) as other:
            self.client.send({"op": "execute", "code": "import time; time.sleep(1)"})
            self.client.receive()
            for op in ({"op": "execute", "code": "1"}, {"op": "configure"}):
                other.send(op)
                with self.assertRaises(Failed) as caught:
                    other.last()
                self.assertEqual(caught.exception.code, "busy")
            self.assertEqual(other.ask("ping")["kernel"], "busy")
        self.client.finish()

    def test_bad_requests(self) -> None:
        for request in ({"op": "nope"}, {"op": 3}, {}, {"op": "execute"}, {"op": "execute", "code": 1}, {"op": "execute", "code": "1", "timeout_ms": -1}):
            self.client.send(request)
            with self.subTest(request=request), self.assertRaises(Failed) as caught:
                self.client.last()
            self.assertEqual(caught.exception.code, "bad_request")
        self.assert_healthy()

    def test_configure(self) -> None:
        self.client.ask("configure", memory_bytes=1 << 40)
        draw = "import random, numpy, uuid, tempfile\nprint(random.random(), numpy.random.rand(), tempfile.mktemp())"
        self.client.run("import random, numpy; random.seed(1); numpy.random.seed(1)")
        first = self.run_text(draw)
        self.client.run("random.seed(1); numpy.random.seed(1)")
        self.client.ask("configure")
        self.assertTrue(set(first.split()).isdisjoint(self.run_text(draw).split()))

    def test_long_programs(self) -> None:
        for size in (1_048_575, 1_048_577, 10_485_760):
            with self.subTest(size=size):
                head, tail = "text = '", "'\nlen(text)"
                code = head + "x" * (size - len(head) - len(tail)) + tail
                result = self.client.run_long(code, timeout_ms=60_000)
                self.assertEqual(result.text("result"), str(size - len(head) - len(tail)))
        # Three bytes for each character.
        result = self.client.run_long("text = '" + "語" * 10_000_000 + "'\nlen(text)", timeout_ms=60_000)
        self.assertEqual(result.text("result"), "10000000")
        self.client.run("text = None")

    def test_a_program_that_is_too_long(self) -> None:
        for fields, code in (({"code_bytes": 31_457_281}, "too_large"), ({"code_bytes": 0}, "bad_request"), ({"code_bytes": "9"}, "bad_request")):
            self.client.send({"op": "execute", **fields}, b"1")
            with self.assertRaises(Failed) as caught:
                self.client.last()
            self.assertEqual(caught.exception.code, code)
        identifier = self.client.send({"op": "execute", "code_bytes": 3}, b"1")
        self.client.send({"id": identifier, "op": "code"}, b"12345")
        with self.assertRaises(Failed) as caught:
            self.client.last()
        self.assertEqual(caught.exception.code, "bad_request")
        # The rest of a refused program is ignored.
        self.client.send({"id": identifier, "op": "code"}, b"12345")
        self.assert_healthy()

    def test_deep_programs(self) -> None:
        self.client.run("kept = 1")
        for code in ("(" * 5_000 + ")" * 5_000, "-" * 300_000 + "1", "x = " + "[" * 100_000, "1" + "+1" * 100_000, "if 1:\n" * 5 + "\n".join(" " * i + "if 1:" for i in range(300))):
            with self.subTest(code=code[:10]):
                result = self.client.run_long(code, timeout_ms=60_000)
                self.assertIn(result.done["status"], ("completed", "kernel_died"))
                self.assertTrue(result.of("error") or result.of("result") or result.of("notice"))
        self.assert_healthy()

    def test_byte_order_mark(self) -> None:
        self.assertEqual(self.client.run("\ufeffprint('marked')").text(), "marked\n")

    def test_lost_connection_interrupts(self) -> None:
        other = Client(self.sandbox.socket)
        other.send({"op": "execute", "code": "survivor = 1\nwhile True: pass"})
        other.receive()
        other.close()
        deadline = time.monotonic() + 20
        while self.client.ask("ping")["kernel"] != "ready" and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(self.client.run("survivor").text("result"), "1")


class Pictures(SandboxTest):
    def test_bold_title_prints_nothing(self) -> None:
        code = "import matplotlib.pyplot as plt\nplt.title('Überschrift Ω Ж 図', weight='bold')\nplt.plot([1, 2])\nplt.show()"
        result = self.client.run(code)
        self.assertEqual((result.text("stderr"), result.text()), ("", ""))
        self.assertEqual(len(result.images()), 1)

    def test_figures(self) -> None:
        code = "import matplotlib.pyplot as plt\nplt.plot([1]); plt.show(); print('between'); plt.plot([2]); plt.figure(); plt.plot([3]);"
        result = self.client.run(code)
        self.assertEqual([h["event"] for h, _ in result.events], ["started", "image", "stdout", "image", "image", "done"])
        self.assertTrue(all(data.startswith(PNG) for data in result.images()))
        self.assertEqual(self.client.run("1").of("image"), [])

    def test_agg_and_magic(self) -> None:
        for first in ("%matplotlib inline", "import matplotlib; matplotlib.use('Agg')", "plt.switch_backend('agg')"):
            with self.subTest(first=first):
                self.assertEqual(len(self.client.run(f"{first}\nimport matplotlib.pyplot as plt\nplt.plot([1]);").images()), 1)

    def test_figure_as_result_once(self) -> None:
        result = self.client.run("import matplotlib.pyplot as plt\nfig, ax = plt.subplots(); ax.plot([1])\nfig")
        self.assertEqual(len(result.images()), 1)
        self.assertEqual(len(self.client.run("fig").images()), 1)

    def test_figure_after_an_error(self) -> None:
        result = self.client.run("plt.plot([1]); 1/0")
        self.assertEqual((len(result.images()), len(result.of("error"))), (1, 1))

    def test_pil_image(self) -> None:
        result = self.client.run("from PIL import Image\nim = Image.new('RGB', (9, 9)); display(im)\nim")
        self.assertEqual(len(result.images()), 2)
        self.assertEqual(len(result.of("result")), 1)

    def test_many(self) -> None:
        result = self.client.run("for i in range(30):\n    plt.figure(figsize=(1, 1)); plt.plot([i]); plt.show()", max_images=3)
        self.assertEqual(len(result.images()), 3)
        self.assertEqual(result.notices(), ["images_dropped"])

    def test_large(self) -> None:
        code = "import numpy as np, PIL.Image as I\nim = I.fromarray(np.random.randint(0, 255, (800, 800, 3), 'uint8')); display(im)"
        self.assertGreater(len(self.client.run(code).images()[0]), 1 << 20)
        result = self.client.run("display(im)", max_image_bytes=1_000_000)
        self.assertEqual((result.images(), result.notices()), ([], ["image_dropped"]))


class Preload(unittest.TestCase):
    def setUp(self) -> None:
        require()

    def test_what_is_named_is_there_before_the_first_execution(self) -> None:
        with Sandbox() as sandbox:
            seen = sandbox.client.run("import sys; [name in sys.modules for name in ('numpy', 'pandas', 'matplotlib.pyplot')]")
            self.assertEqual(seen.text("result"), "[True, True, True]")

    def test_nothing_and_figures_are_shown_all_the_same(self) -> None:
        with Sandbox(preload="") as sandbox:
            seen = sandbox.client.run("import sys; [name in sys.modules for name in ('numpy', 'pandas', 'matplotlib')]")
            self.assertEqual(seen.text("result"), "[False, False, False]")
            result = sandbox.client.run("import pandas as pd\npd.Series([1, 2]).plot();")
            self.assertEqual((len(result.images()), result.text("stderr"), result.of("error")), (1, "", []))
            again = sandbox.client.run("import matplotlib.pyplot as plt\nplt.plot([1]); plt.show(); print('after')")
            self.assertEqual((len(again.images()), again.text()), (1, "after\n"))

    def test_figures_after_a_look_and_an_import_that_failed(self) -> None:
        look = "import importlib.util\nimportlib.util.find_spec('matplotlib') is not None"
        fail = "open('matplotlib.py', 'w').write('1 / 0')\nimport matplotlib"
        repair = "import os, importlib\nos.unlink('matplotlib.py')\nimportlib.invalidate_caches()"
        with Sandbox(preload="json.no_such_part,numpy") as sandbox:
            self.assertEqual(sandbox.client.run(look).text("result"), "True")
            self.assertEqual(sandbox.client.run(fail).of("error")[0]["name"], "ZeroDivisionError")
            sandbox.client.run(repair)
            result = sandbox.client.run("import matplotlib.pyplot as plt\nplt.plot([1]); plt.show(); plt.plot([2]);")
            self.assertEqual((len(result.images()), result.of("error")), (2, []))

    def test_figures_of_a_child_that_imports_them_go_nowhere(self) -> None:
        code = "import os\npid = os.fork()\nif pid == 0:\n    import matplotlib.pyplot as plt\n    plt.plot([1]); plt.show(); os._exit(0)\nos.waitpid(pid, 0)[1]"
        with Sandbox(preload="") as sandbox:
            result = sandbox.client.run(code)
            self.assertEqual((result.text("result"), result.images()), ("0", []))
            self.assertEqual(len(sandbox.client.run("import matplotlib.pyplot as plt\nplt.plot([1]);").images()), 1)

    def test_a_package_of_the_user_with_that_name_is_imported_as_it_is(self) -> None:
        with Sandbox(preload="numpy") as sandbox:
            result = sandbox.client.run("open('matplotlib.py', 'w').write('mine = 1')\nimport matplotlib\nmatplotlib.mine")
            self.assertEqual((result.text("result"), result.of("error")), ("1", []))
