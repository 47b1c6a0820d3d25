"""put, get, list, remove: round trips, hostile names, hostile files."""

import os
import threading
import time

from client import Client, Failed
from harness import GVISOR, Sandbox, SandboxTest


class Files(SandboxTest):
    options = {"disk": "64m", "max_files": 500}

    def setUp(self) -> None:
        super().setUp()
        self.files = Client(self.sandbox.socket)
        self.addCleanup(self.files.close)
        self.path = self.sandbox.path

    def refused(self, code: str, operation: str, **fields: object) -> None:
        with self.assertRaises(Failed) as caught:
            if operation == "put":
                self.files.put(str(fields.pop("path")), b"x", **fields)
            elif operation == "get":
                self.files.get(str(fields["path"]))
            else:
                self.files.ask(operation, **fields)
        self.assertEqual(caught.exception.code, code)

    def clean(self) -> None:
        self.client.run("!find /mnt/data -mindepth 1 -delete" if GVISOR else f"!find {self.sandbox.data} -mindepth 1 -delete")

    def test_round_trips(self) -> None:
        for size in (0, 1, 65_536, 1_048_577, 20_000_000):
            data = os.urandom(size)
            done = self.files.put(self.path("round"), data)
            self.assertEqual((done["bytes"], done["path"]), (size, self.path("round")))
            self.assertEqual(self.files.get(self.path("round")), data)
        self.assertEqual(self.files.put(self.path("round"), b"abcdef", piece=1)["bytes"], 6)
        self.assertEqual(self.run_text("import os; s = os.stat('round'); print(s.st_uid, oct(s.st_mode))"), "1000 0o100644\n")

    def test_every_change_of_a_small_tree_is_told_once(self) -> None:
        self.clean()
        changes = (
            ("open('ledger', 'w').write('a'); open('other', 'w').write('b')", {"ledger": "created", "other": "created"}),
            ("1", {}),
            # The same size and the same time of modification.
            ("s = os.stat('ledger'); open('ledger', 'w').write('z'); os.utime('ledger', ns=(s.st_atime_ns, s.st_mtime_ns))", {"ledger": "modified"}),
            ("os.rename('other', 'ledger')", {"ledger": "modified", "other": "deleted"}),
            ("os.makedirs('empty/below')", {}),
            ("open('empty/below/.dot', 'w').write('x'); open('empty/below/seen', 'w')", {"empty/below/.dot": "created", "empty/below/seen": "created"}),
            ("os.link('ledger', 'twin')", {"twin": "created"}),
            ("1", {}),
            ("os.unlink('twin'); os.unlink('ledger')", {"ledger": "deleted", "twin": "deleted"}),
            ("os.mkfifo('pipe'); os.symlink('/etc/passwd', 'link')", {}),
            ("[open(f'n{i}', 'w') for i in range(60)]", {f"n{i}": "created" for i in range(60)}),
            ("open('n7', 'w').write('7')", {"n7": "modified"}),
            ("[os.unlink(f'n{i}') for i in range(59)]", {f"n{i}": "deleted" for i in range(59)}),
            ("1", {}),
            ("open('n59', 'w').write('59')", {"n59": "modified"}),
        )
        for code, expected in changes:
            done = self.client.run(f"import os\n{code}").done
            prefix = self.path("")
            told = {file["path"].removeprefix(prefix): file["change"] for file in done["files"]}
            self.assertEqual((code, told), (code, expected))
            self.assertFalse(done["files_truncated"])

    def test_what_the_host_puts_is_no_change(self) -> None:
        self.clean()
        self.client.run("1")
        for content in (b"first", b"again"):
            self.files.put(self.path("given"), content)
            self.assertEqual(self.client.run("1").done["files"], [])
        changed = self.client.run("open('given', 'a').write('.')").done["files"]
        self.assertEqual([(file["change"], file["bytes"]) for file in changed], [("modified", 6)])
        self.files.ask("remove", path=self.path("given"))
        self.assertEqual(self.client.run("1").done["files"], [])

    def test_directories(self) -> None:
        self.files.put(self.path("new/dir/file"), b"1")
        self.refused("not_a_file", "put", path=self.path("new/dir"))
        self.refused("not_a_file", "put", path=self.path("new/dir/file/below"))
        self.refused("not_a_file", "get", path=self.path("new"))
        self.refused("not_found", "get", path=self.path("nothing"))
        self.refused("not_found", "remove", path=self.path("nothing"))
        self.refused("not_a_file", "remove", path=self.path("new"))
        self.assertEqual(self.files.get(self.path("new/dir/file")), b"1")

    def test_abort_leaves_nothing(self) -> None:
        identifier = self.files.send({"op": "put", "path": self.path("half")})
        self.assertEqual(self.files.receive()[0]["event"], "ready")
        self.files.send({"id": identifier, "op": "data"}, b"x" * 100_000)
        self.files.send({"id": identifier, "op": "abort"})
        with self.assertRaises(Failed) as caught:
            self.files.last()
        self.assertEqual(caught.exception.code, "aborted")
        other = Client(self.sandbox.socket)
        identifier = other.send({"op": "put", "path": self.path("half")})
        other.receive()
        other.send({"id": identifier, "op": "data"}, b"x" * 100_000)
        other.close()
        time.sleep(0.3)
        self.refused("not_found", "get", path=self.path("half"))
        self.assertEqual(self.run_text("import os; print([n for n in os.listdir('.') if n.startswith('.upload')])"), "[]\n")

    def test_bad_paths(self) -> None:
        for path in ("/etc/passwd", "../x", self.path("../x"), self.path("a/../../b"), self.path("a\0"), self.path("a" * 256), "", 7):
            for operation in ("put", "get", "remove"):
                with self.subTest(path=path, operation=operation):
                    self.refused("invalid_path", operation, path=path)  # type: ignore[arg-type]

    def test_odd_names(self) -> None:
        names = ["new\nline", "qu\"ote'", "semi;colon", "-dash", ".dot", "per%cent", "back\\slash", "e\u0301", "\u00e9", "\U0001f600", "bad\udcff\udc80", "x" * 255, "trail.", "CON", "\u202egnp"]
        for name in names:
            with self.subTest(name=name):
                self.files.put(self.path(name), name.encode("utf-8", "surrogateescape"))
                self.assertEqual(self.files.get(self.path(name)), name.encode("utf-8", "surrogateescape"))
        self.assertLessEqual({self.path(name) for name in names}, {e["path"] for e in self.files.ask("list")["entries"]})
        result = self.client.run("open(b'made\\xff\\n', 'w').write('1');")
        self.assertEqual(result.files(), {self.path("made\udcff\n"): "created"})
        self.clean()

    def test_list_in_pages(self) -> None:
        self.clean()
        self.client.run("for i in range(120): open(f'p{i:03d}', 'w')")
        seen: list[str] = []
        page = self.files.ask("list", limit=50)
        while True:
            seen += [entry["path"] for entry in page["entries"]]
            if not page["truncated"]:
                break
            page = self.files.ask("list", limit=50, after=seen[-1])
        self.assertEqual(seen, [self.path(f"p{i:03d}") for i in range(120)])
        self.refused("bad_request", "list", limit=0)
        self.clean()

    def test_links_lead_nowhere(self) -> None:
        self.files.put(self.path("real/file"), b"real")
        code = "import os\n" + "\n".join(
            f"os.path.lexists('{name}') or os.symlink('{target}', '{name}')"
            for name, target in {
                "l1": "/etc/passwd", "l2": "/proc/1/environ", "l3": "/run/sandbox/supervisor.sock", "l4": "../../../etc",
                "l5": "l5", "l6": "real", "l7": "real/file", "l8": "/", "l9": "/proc/self/root", "l10": "/dev/zero",
            }.items()
        )
        self.assertEqual(self.client.run(code).files(), {})
        for name in ("l1", "l2", "l3", "l5", "l7", "l10", "l4/passwd", "l6/file", "l8/etc/passwd", "l9/etc/passwd"):
            with self.subTest(name=name):
                for operation in ("get", "remove"):
                    self.refused("not_a_file", operation, path=self.path(name))
        for name in ("l4/evil", "l6/evil", "l8/tmp/evil"):
            self.refused("not_a_file", "put", path=self.path(name))
        self.files.put(self.path("l1"), b"mine now")
        self.assertEqual(self.run_text("import os; print(os.path.islink('l1'), open('l1').read())"), "False mine now\n")

    def test_swapping_a_directory_for_a_link(self) -> None:
        self.client.send({"op": "execute", "code": (
            "import os, time\nos.makedirs('swap', exist_ok=True); os.makedirs('other', exist_ok=True)\nopen('swap/passwd', 'w').write('inside')\n"
            "end = time.time() + 3\nwhile time.time() < end:\n    os.rename('swap', 'kept'); os.symlink('/etc', 'swap'); os.unlink('swap'); os.rename('kept', 'swap')"
        )})
        deadline, seen = time.monotonic() + 2.5, set()
        while time.monotonic() < deadline:
            try:
                seen.add(self.files.get(self.path("swap/passwd")))
            except Failed as error:
                self.assertIn(error.code, ("not_found", "not_a_file"))
        self.client.finish()
        self.assertLessEqual(seen, {b"inside", b""})

    def test_no_files(self) -> None:
        code = "import os, socket\nos.path.exists('fifo') or os.mkfifo('fifo')\ns = socket.socket(socket.AF_UNIX)\nos.path.exists('sock') or s.bind('sock')\nopen('closed', 'w').write('x'); os.chmod('closed', 0)"
        self.client.run(code)
        for name in ("fifo", "sock", "closed"):
            with self.subTest(name=name):
                begun = time.monotonic()
                self.refused("not_a_file", "get", path=self.path(name))
                self.assertLess(time.monotonic() - begun, 1)
        self.refused("not_a_file", "put", path=self.path("fifo"))
        self.assertNotIn(self.path("fifo"), [e["path"] for e in self.files.ask("list")["entries"]])
        self.client.run("os.chmod('closed', 0o600)")

    def test_sparse(self) -> None:
        self.client.run("f = open('sparse', 'w'); f.truncate(1 << 40); f.close()")
        self.refused("too_large", "get", path=self.path("sparse"))
        self.client.run("import os; os.unlink('sparse')")

    def test_zeros_do_not_travel(self) -> None:
        self.client.run("f = open('holes', 'wb'); f.truncate(30_000_000); f.seek(20_000_000); f.write(b'x' * 10); f.close()")
        self.files.send({"op": "get", "path": self.path("holes")})
        pieces: list[bytes] = []
        carried = 0
        while (frame := self.files.receive())[0]["event"] != "done":
            header, payload = frame
            if header["event"] == "data":
                pieces.append(payload or bytes(header["zeros"]))
                carried += len(payload)
        data = b"".join(pieces)
        self.assertEqual((len(data), data.find(b"x"), data.count(b"x")), (30_000_000, 20_000_000, 10))
        self.assertLessEqual(carried, 1 << 20)
        self.client.run("import os; os.unlink('holes')")

    def test_a_copy_is_bounded(self) -> None:
        self.client.run("f = open('thousand', 'w'); f.truncate(1000); f.close()")
        self.assertEqual(self.files.get(self.path("thousand"), max_bytes=1000), bytes(1000))
        with self.assertRaises(Failed) as caught:
            self.files.get(self.path("thousand"), max_bytes=999)
        self.assertEqual(caught.exception.code, "too_large")
        for bad in (-1, "9", True, 1.5):
            with self.assertRaises(Failed) as caught:
                self.files.get(self.path("thousand"), max_bytes=bad)
            self.assertEqual(caught.exception.code, "bad_request")
        self.client.run("import os; os.unlink('thousand')")

    def test_what_files_really_take(self) -> None:
        self.clean()
        result = self.client.run(
            "import os\nf = open('a', 'wb'); f.write(b'x' * 10_000); f.close(); os.link('a', 'b')\n"
            "f = open('sparse', 'wb'); f.truncate(50_000_000); f.close(); open('c', 'w').close();"
        )
        entries = {entry["path"]: entry for entry in result.changes()}
        identities = [entries[self.path(name)].get("identity") for name in ("a", "b", "c")]
        self.assertEqual(identities[0], identities[1])
        self.assertIsNotNone(identities[0])
        self.assertIsNone(identities[2])
        listed = {entry["path"]: entry for entry in self.files.ask("list")["entries"]}
        self.assertEqual(listed[self.path("a")]["identity"], identities[0])
        if GVISOR:
            used = result.done["used_bytes"]
            self.assertTrue(10_000 <= used < 1_000_000, used)
            self.assertEqual(entries[self.path("sparse")]["stored_bytes"], used)
            self.assertNotIn("stored_bytes", entries[self.path("a")])
        self.clean()

    def test_growing_and_shrinking(self) -> None:
        # No zeros, which do not travel: the copy must wait for its reader.
        self.client.run("open('moving', 'wb').write(b'x' * 30_000_000);")
        self.files.send({"op": "get", "path": self.path("moving")})
        self.assertEqual(self.files.receive()[0]["bytes"], 30_000_000)
        self.client.run("open('moving', 'ab').write(bytes(1_000_000));")
        self.assertEqual(self.files.last()["bytes"], 30_000_000)
        self.files.send({"op": "get", "path": self.path("moving")})
        self.files.receive()
        self.client.run("open('moving', 'wb').close()")
        with self.assertRaises(Failed) as caught:
            self.files.last()
        self.assertEqual(caught.exception.code, "changed")
        self.client.run("os.unlink('moving')")

    def test_a_race_is_an_error_of_the_one_file(self) -> None:
        """Whatever happens to a file while it is copied, the answer is one of the codes for it."""
        self.client.send({"op": "execute", "code": (
            "import os, time\nend = time.time() + 3\nn = 0\nwhile time.time() < end:\n    n += 1\n"
            "    with open('racy', 'wb') as f: f.write(os.urandom(3_000_000))\n"
            "    os.truncate('racy', n % 5)\n"
            "    os.unlink('racy')\n    os.symlink('/etc/passwd', 'racy'); os.unlink('racy')\n"
            "    os.mkdir('racy'); os.rmdir('racy')"
        )})
        codes, deadline = set(), time.monotonic() + 2.5
        while time.monotonic() < deadline:
            try:
                self.assertLessEqual(len(self.files.get(self.path("racy"))), 3_000_000)
            except Failed as error:
                codes.add(error.code)
        self.assertEqual(self.client.finish().done["status"], "completed")
        self.assertLessEqual(codes, {"not_found", "not_a_file", "changed"})
        self.assertIn("not_found", codes)

    def test_file_flood(self) -> None:
        count = 90_000 if GVISOR else 5_000
        result = self.client.run(f"import os\nos.mkdir('flood')\nfor i in range({count}): os.close(os.open(f'flood/{{i}}', os.O_CREAT))", timeout_ms=300_000)
        self.assertEqual(result.done["status"], "completed")
        self.assertTrue(result.done["files_truncated"])
        self.assertIn("too_many_files", result.notices())
        begun = time.monotonic()
        self.client.run("1")
        self.assertLess(time.monotonic() - begun, 2)
        page = self.files.ask("list")
        self.assertEqual((page["complete"], page["truncated"]), (False, False))
        self.refused("no_space", "put", path=self.path("one more"))
        self.client.run("import shutil; shutil.rmtree('flood')", timeout_ms=300_000)
        self.client.run("1")
        self.files.put(self.path("one more"), b"")

    def test_more_files_than_fit_one_frame(self) -> None:
        with Sandbox(max_files=11_000) as sandbox:
            for count in (5_000, 10_000):
                code = "import os\nos.mkdir('%d')\nfor i in range(%d): os.close(os.open(f'%d/a-file-with-a-name-of-some-length-{i}', os.O_CREAT))"
                result = sandbox.client.run(code % (count, count, count), timeout_ms=60_000)
                self.assertEqual((len(result.files()), set(result.files().values())), (count, {"created"}))
                self.assertFalse(result.done["files_truncated"])
                self.assertEqual(result.notices(), [])
                paths = [entry["path"] for entry in result.changes()]
                self.assertEqual(paths, sorted(paths))
                self.assertEqual(sandbox.client.run("1").files(), {})
                result = sandbox.client.run(f"import shutil; shutil.rmtree('{count}')")
                self.assertEqual((len(result.files()), set(result.files().values())), (count, {"deleted"}))

    def test_deep_and_long(self) -> None:
        code = "import os\nroot = os.getcwd()\nfor i in range(200):\n    os.mkdir('d' * 200); os.chdir('d' * 200)\nopen('x', 'w').close()\nos.chdir(root)"
        result = self.client.run(code)
        self.assertTrue(result.done["files_truncated"])
        self.client.run("import shutil; shutil.rmtree('d' * 200)")
        self.assert_healthy()

    def test_slow_transfers_stall_nothing(self) -> None:
        self.files.put(self.path("big"), bytes(20_000_000))
        slow = [Client(self.sandbox.socket) for _ in range(8)]
        for client in slow:
            client.send({"op": "get", "path": self.path("big")})
            client.receive()
        begun = time.monotonic()
        self.assertEqual(self.client.run("1+1").text("result"), "2")
        self.assertTrue(self.files.ask("list")["entries"])
        self.assertLess(time.monotonic() - begun, 2)
        for client in slow:
            client.close()

    def test_transfers_side_by_side(self) -> None:
        failures: list[object] = []

        def work(number: int) -> None:
            data = bytes([number]) * 1_500_000
            with Client(self.sandbox.socket) as client:
                client.put(self.path(f"side{number}"), data)
                if client.get(self.path(f"side{number}")) != data:
                    failures.append(number)
                client.ask("remove", path=self.path(f"side{number}"))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def test_transfer_on_the_executing_connection(self) -> None:
        self.client.send({"id": 1000, "op": "execute", "code": "import time; time.sleep(0.5)"})
        self.client.send({"id": 1001, "op": "get", "path": self.path("x")})
        with self.assertRaises(Failed):
            self.client.last()
        self.assertEqual(self.client.finish().done["status"], "completed")

    def test_full_disk(self) -> None:
        if not GVISOR:
            self.skipTest("the disk is not the sandbox's own")
        result = self.client.run("f = open('full', 'wb')\nwhile True: f.write(bytes(1 << 20))")
        self.assertIn("No space left", result.of("error")[0]["value"])
        self.client.run("f.close()")
        with self.assertRaises(Failed) as caught:
            self.files.put(self.path("more"), bytes(5_000_000))
        self.assertEqual(caught.exception.code, "no_space")
        self.assertEqual(self.files.ask("ping")["version"], "2")
        self.refused("not_found", "get", path=self.path("more"))
        self.client.run("import os; os.unlink('full')")
        self.assert_healthy()
