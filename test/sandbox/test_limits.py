"""Bounds and what happens at them: time, output, memory, processes, death of the kernel."""

import threading
import time

from client import Client, Result
from harness import GVISOR, SandboxTest


_RESIDENT = "int(open('/proc/self/statm').read().split()[1]) * 4096"
"""Bytes of the kernel."""


class Ladder(SandboxTest):
    def test_timeout_keeps_state(self) -> None:
        self.client.run("kept = 5")
        result = self.client.run("print('begun')\nwhile True: pass", timeout_ms=300)
        self.assertEqual((result.done["status"], result.done["state_lost"]), ("timed_out", False))
        self.assertEqual(result.notices(), ["timeout"])
        self.assertEqual([error["name"] for error in result.of("error")], ["KeyboardInterrupt"])
        self.assertEqual(self.client.run("kept").text("result"), "5")

    def test_interrupt(self) -> None:
        for code in ("while True: pass", "import time; time.sleep(60)", "!sleep 60", "import asyncio; await asyncio.sleep(60)"):
            with self.subTest(code=code):
                begun = time.monotonic()
                result = self.interrupted(code, 0.3)
                self.assertLess(time.monotonic() - begun, 2.2)
                self.assertEqual((result.done["status"], result.done["state_lost"]), ("interrupted", False))
        self.assertEqual(self.sandbox.connect().ask("interrupt")["running"], False)

    def interrupted(self, code: str, seconds: float, **fields: object) -> Result:
        self.client.send({"op": "execute", "code": code, **fields})
        with Client(self.sandbox.socket) as other:
            time.sleep(seconds)
            self.assertTrue(other.ask("interrupt")["running"])
        return self.client.finish()

    def test_interrupt_at_once(self) -> None:
        self.client.run("kept = 6")
        result = self.interrupted("while True: pass", 0)
        self.assertEqual(result.done["state_lost"], False)

    def test_code_that_does_not_stop(self) -> None:
        stubborn = {
            "ignored": "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
            "blocked": "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [2])\nwhile True: pass",
            "caught": "while True:\n    try:\n        while True: pass\n    except KeyboardInterrupt: pass",
            "stopped": "import os, signal\nsignal.signal(2, signal.SIG_IGN)\nos.kill(os.getpid(), signal.SIGSTOP)\nwhile True: pass",
            "in C": "import re; re.match('(a+)+$', 'a' * 60 + 'b')",
        }
        for name, code in stubborn.items():
            with self.subTest(name=name):
                begun = time.monotonic()
                result = self.client.run("lost = 1\n" + code, timeout_ms=300, grace_ms=300)
                self.assertLess(time.monotonic() - begun, 8)
                self.assertEqual(result.done["status"], "timed_out")
                if name in ("ignored", "stopped"):
                    self.assertEqual((result.done["state_lost"], result.notices()), (True, ["timeout", "state_lost"]))
                    self.assertEqual(self.client.run("lost").of("error")[0]["name"], "NameError")
        self.assert_healthy()

    def test_stopped_kernel_goes_on(self) -> None:
        self.client.run("kept = 7")
        result = self.client.run("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", timeout_ms=300)
        self.assertEqual(result.done["state_lost"], False)

    def test_restart_in_the_middle(self) -> None:
        self.client.send({"op": "execute", "code": "while True: pass"})
        self.client.receive()
        self.sandbox.connect().ask("restart")
        result = self.client.finish()
        self.assertEqual((result.done["status"], result.done["state_lost"]), ("interrupted", True))
        self.assert_healthy()

    def test_death(self) -> None:
        for code in (
            "import os; os._exit(0)",
            "import os; os.kill(os.getpid(), 9)",
            "import ctypes; ctypes.string_at(0)",
            "import os; os.abort()",
            "import os; os.closerange(3, 2000)",
            "import os; os.execv('/bin/true', ['true'])",
        ):
            with self.subTest(code=code):
                result = self.client.run("print('before', flush=True)\n" + code)
                self.assertEqual((result.done["status"], result.done["state_lost"]), ("kernel_died", True))
                self.assertEqual(result.notices(), ["kernel_died"])
                self.assertTrue(result.text().startswith("before\n"))
        self.assert_healthy()

    def test_death_between_executions(self) -> None:
        self.client.run("import threading, os; threading.Timer(0.3, lambda: os._exit(1)).start()")
        time.sleep(1)
        result = self.client.run("1")
        self.assertEqual((result.notices(), result.done["state_lost"]), (["state_lost"], True))
        self.assertEqual(self.client.run("1").notices(), [])

    def test_leftover_processes(self) -> None:
        result = self.client.run("import subprocess\np = subprocess.Popen(['sleep', '300'], start_new_session=True)")
        self.assertEqual(result.notices(), ["processes_left"])
        self.client.ask("restart")
        self.assertEqual(self.client.run("1").notices(), [])

    def test_stopped_code_takes_along_what_it_started(self) -> None:
        sleep = "subprocess.Popen(['sleep', '300'], start_new_session=True)"
        self.client.run(f"import subprocess\nearlier = {sleep}")
        result = self.client.run(f"started = {sleep}\nwhile True: pass", timeout_ms=500)
        self.assertEqual((result.done["status"], result.done["state_lost"]), ("timed_out", False))
        self.assertEqual(self.client.run("started.wait(5), earlier.poll()").text("result"), "(-9, None)")
        self.client.ask("restart")

    def test_output_after_the_end_is_dropped(self) -> None:
        self.client.run("import subprocess\nsubprocess.Popen('sleep 0.2; echo late', shell=True);")
        time.sleep(0.6)
        self.assertEqual(self.client.run("1").text(), "")


class Output(SandboxTest):
    def test_endless_output(self) -> None:
        begun = time.monotonic()
        result = self.client.run("while 1: print('x' * 10000)", timeout_ms=1000)
        self.assertLess(time.monotonic() - begun, 5)
        self.assertEqual(result.done["status"], "timed_out")
        self.assertIn("output_truncated", result.notices())
        self.assertLess(len(result.text()), 1_100_000)

    def test_head_and_tail(self) -> None:
        text = self.client.run("for i in range(200000): print(i)", max_output_bytes=10_000).text()
        self.assertTrue(text.startswith("0\n1\n2\n"))
        self.assertTrue(text.endswith("\n199998\n199999\n"))
        self.assertIn("bytes of output left out", text)
        self.assertLess(len(text), 10_200)

    def test_one_gigantic_line(self) -> None:
        result = self.client.run("import sys\nfor i in range(500): sys.stdout.write('x' * 1_000_000)\nprint('end')")
        self.assertTrue(result.text().endswith("xend\n"))
        self.assertLess(len(result.text()), 1_100_000)

    def test_exact_sizes(self) -> None:
        for size in (65_535, 65_536, 65_537, 1_048_576):
            for write in ("sys.stdout.write", "lambda s: os.write(1, s.encode())"):
                result = self.client.run(f"import os, sys\nn = ({write})('y' * {size});", max_output_bytes=4_000_000)
                written = int(self.client.run("n").text("result"))
                self.assertEqual(result.text(), "y" * min(size, written))

    def test_gigantic_values(self) -> None:
        result = self.client.run("'x' * 100_000_000")
        self.assertLess(len(result.text("result")), 140_000)
        result = self.client.run("raise ValueError('x' * 10_000_000)")
        self.assertLess(len(result.of("error")[0]["traceback"]), 33_000)
        result = self.client.run("class A:\n    def __repr__(self): return 'é\\0' * 3_000_000\nA()")
        self.assertLess(len(result.text("result")), 140_000)
        self.assertIn("output_truncated", result.notices())

    def test_displays_without_end(self) -> None:
        result = self.client.run("for i in range(20000): display(i)", timeout_ms=60_000)
        self.assertIn("output_truncated", result.notices())
        self.assertLess(len(result.events), 20_000)

    def test_what_was_shown_is_not_kept(self) -> None:
        kinds = {
            "printed": ("for _ in range(5_000): print('x' * 20_000)", 1),
            "told": ("import sys\nfor _ in range(5_000): _n = sys.stderr.write('y' * 20_000)", 1),
            "results": ("class Wide:\n    def __repr__(self): return 'z' * 5_000_000\nWide()", 12),
            "raised": ("raise ValueError('w' * 500_000)", 100),
        }
        for name, (code, rounds) in kinds.items():
            with self.subTest(name=name):
                self.client.run(code)
                before = int(self.client.run(_RESIDENT).text("result"))
                for _ in range(rounds):
                    self.client.run(code)
                grown = int(self.client.run(_RESIDENT).text("result")) - before
                self.assertLess(grown, 30_000_000)

    def test_programs_are_kept_up_to_a_size(self) -> None:
        cell = int(self.client.run("len(In)").text("result"))
        self.client.run("def early(value):\n    return 1 / value")
        for number in range(4):
            self.long_program(number)
        before = int(self.client.run(_RESIDENT).text("result"))
        for number in range(20):
            self.long_program(number)
        grown = int(self.client.run(_RESIDENT).text("result")) - before
        self.assertLess(grown, 30_000_000)
        # What has gone is empty, and nothing else has changed its place.
        told = self.client.run(f"In[{cell}], '_i{cell}' in globals(), In[-1][:3]").text("result")
        self.assertEqual(told, "('', False, 'In[')")
        [error] = self.client.run("early(0)").of("error")
        self.assertEqual(error["name"], "ZeroDivisionError")
        self.assertIn(f"In[{cell}], line 2, in early", error["traceback"])
        self.client.run("%reset -f")
        self.client.run("after = 1")
        self.assertEqual(self.client.run("In[-2], after").text("result"), "('after = 1', 1)")

    def long_program(self, number: int) -> None:
        lines = ("x" * 99 + "\n") * 30_000
        result = self.client.run_long(f"number = {number}\ntext = '''{lines}'''\nlen(text)", timeout_ms=60_000)
        self.assertEqual(result.text("result"), "3000000")

    def test_broken_descriptors(self) -> None:
        for code in (
            "import os; [os.close(i) for i in (0, 1, 2)]",
            "import os; f = os.open('/dev/null', os.O_WRONLY); os.dup2(f, 1); os.dup2(f, 2)",
            "import sys; sys.stdout = sys.stderr = None",
            "import sys; sys.stdout.close(); sys.__stderr__.close()",
            "import sys; sys.stdout.detach()",
            "import os; os.set_blocking(1, False); print('z' * 300_000)",
            "fs = []\ntry:\n    while True: fs.append(open('/dev/null'))\nexcept OSError: pass",
        ):
            with self.subTest(code=code):
                self.client.run(code)
                result = self.client.run("import os\nprint('out'); os.system('echo sys'); os.write(2, b'err')\n1/0")
                self.assertEqual((result.text(), result.text("stderr")), ("out\nsys\n", "err"))
                self.assertEqual(len(result.of("error")), 1)
        self.client.run("fs = None")

    def test_forged_messages(self) -> None:
        find = "import os\nchannel = next(f for f in range(900, 1000) if os.readlink(f'/proc/self/fd/{f}').startswith('socket'))\n"
        for message in ('b"garbage" * 100', 'b"\\0\\0\\0\\x0b\\0\\0\\0\\0" + b\'{"t":"done"}\'[:11]'):
            result = self.client.run(find + f"os.write(channel, {message}); import time; time.sleep(5)")
            self.assertEqual(result.done["status"], "kernel_died")
        header = '{"t":"done","id":1,"status":"out_of_memory","peak_memory_bytes":1,"files":[]}'
        result = self.client.run(find + f"h = {header!r}.encode(); os.write(channel, len(h).to_bytes(4, 'big') + bytes(4) + h); import time; time.sleep(5)")
        self.assertEqual(result.done["status"], "kernel_died")
        self.assert_healthy()

    def test_slow_reader(self) -> None:
        """A host that does not read stops the kernel, not the supervisor."""
        slow = Client(self.sandbox.socket)
        slow.send({"op": "execute", "code": "for i in range(3000): print('x' * 10000)", "max_output_bytes": 60_000_000})
        time.sleep(1)
        self.assertIn(self.client.ask("ping")["kernel"], ("busy", "ready"))
        self.assertEqual(len(slow.finish().text()), 30_003_000)
        slow.close()


class Memory(SandboxTest):
    options = {"memory_bytes": 1 << 30}

    def test_hogs(self) -> None:
        hogs = [
            "x = bytearray(3 << 30)",
            "import numpy as np; x = np.ones(400_000_000)",
            "x = []\nwhile True: x.append('x' * 1_000_000)",
        ]
        for code in hogs if GVISOR else hogs[1:]:
            with self.subTest(code=code):
                self.client.run("open('kept.txt', 'w').write('kept')")
                result = self.client.run(code, timeout_ms=60_000)
                self.assertEqual((result.done["status"], result.done["state_lost"]), ("out_of_memory", True))
                notice = next(n for n in result.of("notice") if n["code"] == "out_of_memory")
                self.assertIn("it needed more than 1 GiB (memory_limit=1g)", notice["message"])
                self.assertEqual(self.run_text("print(open('kept.txt').read())"), "kept\n")

    def test_a_child_dies_alone(self) -> None:
        if not GVISOR:
            self.skipTest("nothing counts the memory of all")
        hog = "x = []\nwhile True: x.append(b'x' * 4_000_000)"
        children = {
            "a program": f"import subprocess; ended = subprocess.run(['python3', '-c', {hog!r}]).returncode",
            "a fork": "import os\npid = os.fork()\nif pid == 0:\n    x = []\n    while True: x.append(b'x' * 4_000_000)\nended = -os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) * -1",
            "many": "import subprocess\nps = [subprocess.Popen(['python3', '-c', 'x = b\"x\" * 220_000_000; import time; time.sleep(60)']) for _ in range(5)]\nended = min(p.wait() for p in ps[:1])",
        }
        for name, code in children.items():
            with self.subTest(name=name):
                self.client.run("kept = 'kept'")
                result = self.client.run(code, timeout_ms=60_000)
                self.assertEqual((result.done["status"], result.done["state_lost"]), ("completed", False))
                self.assertIn("out_of_memory", result.notices())
                self.assertEqual(self.run_text("print(kept, ended)"), "kept -9\n")

    def test_memory_file_system(self) -> None:
        if not GVISOR:
            self.skipTest("/tmp is not the sandbox's own")
        code = "import time\nx = bytearray(750 << 20)\nf = open('/tmp/fill', 'wb', 0)\nfor i in range(250): f.write(bytes(1 << 20)); time.sleep(0.005)"
        self.assertEqual(self.client.run(code).done["status"], "out_of_memory")
        self.assertEqual(self.run_text("import os; print(os.path.exists('/tmp/fill'))"), "False\n")


class ForkBomb(SandboxTest):
    """In a sandbox of its own: copies of a whole kernel can outrun the memory watch, and then the host's
    limit ends the sandbox. The container goes on with another one; see the security suite of the driver."""

    def test_fork_bomb(self) -> None:
        bomb = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"
        try:
            result = self.client.run(bomb, timeout_ms=2_000, grace_ms=500)
        except EOFError:
            return
        self.assertIn(result.done["status"], ("timed_out", "out_of_memory", "kernel_died"))
        self.assert_healthy()
        self.assertEqual(self.client.run("1").notices(), [])


class Processes(SandboxTest):
    def test_limit_is_a_plain_error(self) -> None:
        code = "import os\nn = 0\ntry:\n    while True:\n        if os.fork() == 0: os.execv('/bin/sleep', ['sleep', '60'])\n        n += 1\nexcept OSError as e: print(e.errno, n)"
        number, count = self.run_text(code).split()
        self.assertEqual(number, "11")
        self.assertLess(int(count), 129)
        self.client.ask("restart")
        self.assert_healthy()

    def test_thread_bomb(self) -> None:
        code = "import threading\ne = threading.Event()\nfor i in range(100_000): threading.Thread(target=e.wait, daemon=True).start()"
        result = self.client.run(code, timeout_ms=60_000)
        self.assertEqual(result.of("error")[0]["name"], "RuntimeError")
        self.client.ask("restart")
        self.assert_healthy()

    def test_answers_meanwhile(self) -> None:
        thread = threading.Thread(target=self.client.run, args=("import os\n" + "while True: pass",), kwargs={"timeout_ms": 1500})
        thread.start()
        with Client(self.sandbox.socket) as other:
            other.put(self.sandbox.path("meanwhile"), b"x" * 3_000_000)
            self.assertEqual(len(other.get(self.sandbox.path("meanwhile"))), 3_000_000)
        thread.join()


class ManyFiles(SandboxTest):
    """gVisor keeps each file in memory of its own, which no limit inside counts."""

    options = {"max_files": 1_000} if GVISOR else {"max_files": 100, "max_entries": 2_000}

    def test_a_million_files_end_early(self) -> None:
        where = ("/mnt/data", "/tmp", "/dev/shm") if GVISOR else (self.sandbox.data,)
        for place in where:
            with self.subTest(place=place):
                self.client.run("kept = 1")
                code = f"import os\nos.mkdir('{place}/flood')\nfor i in range(1_000_000): os.close(os.open(f'{place}/flood/{{i}}', os.O_CREAT))"
                result = self.client.run(code, timeout_ms=300_000)
                self.assertEqual((result.done["status"], result.done["state_lost"]), ("interrupted", False))
                self.assertIn("files_limit", result.notices())
                begun = time.monotonic()
                self.assertEqual(self.client.run("kept").text("result"), "1")
                self.assertLess(time.monotonic() - begun, 10)
                # Code that makes no more of them goes on for as long as it likes.
                self.assertEqual(self.client.run("import time; time.sleep(1.5)").done["status"], "completed")
                result = self.client.run(f"import shutil; shutil.rmtree('{place}/flood')", timeout_ms=300_000)
                self.assertEqual((result.done["status"], result.of("error")), ("completed", []))
        self.assert_healthy()

    def test_code_that_does_not_stop_is_killed(self) -> None:
        code = "import os\nos.mkdir('flood')\ni = 0\nwhile True:\n    try:\n        while True:\n            i += 1; os.close(os.open(f'flood/{i}', os.O_CREAT))\n    except KeyboardInterrupt: pass"
        result = self.client.run(code, timeout_ms=300_000, grace_ms=60_000)
        self.assertEqual((result.done["status"], result.done["state_lost"]), ("interrupted", True))
        self.assertIn("files_limit", result.notices())
        self.client.run("import shutil; shutil.rmtree('flood')", timeout_ms=300_000)
        self.assert_healthy()
