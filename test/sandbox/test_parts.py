"""Parts of the supervisor between its edges: change reports, the choice of victims, the filter of system calls."""

import os
import shutil
import stat
import sys
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "sandbox"))

from supervisor import frames, programs, seccomp  # noqa: E402
from supervisor.files import snapshot, tree  # noqa: E402
from supervisor.files.glance import glance  # noqa: E402
from supervisor.files.snapshot import Snapshot  # noqa: E402
from supervisor import pressure  # noqa: E402
from supervisor.pressure import Pressure, choose  # noqa: E402
from supervisor.report import FileReport  # noqa: E402
from supervisor.workers import Report  # noqa: E402

MIB = 1 << 20


class Glances(unittest.TestCase):
    def setUp(self) -> None:
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)

    def test_shows_whether_anything_was_touched(self) -> None:
        Path(self.root, "below").mkdir()
        Path(self.root, "below", "ledger").write_text("a")
        before = glance(self.root)
        self.assertIsNotNone(before)
        self.assertEqual(glance(self.root), before)
        os.chmod(Path(self.root, "below", "ledger"), 0o600)
        self.assertNotEqual(glance(self.root), before)

    def test_leaves_large_and_deep_trees_and_links_alone(self) -> None:
        os.symlink("/", Path(self.root, "link"))
        found = glance(self.root)
        assert found is not None
        self.assertEqual([seen.path for seen in found], ["", "/link"])
        os.makedirs(Path(self.root, "a/b/c/d"))
        self.assertIsNone(glance(self.root))
        shutil.rmtree(Path(self.root, "a"))
        for number in range(70):
            Path(self.root, f"n{number}").touch()
        self.assertIsNone(glance(self.root))
        self.assertIsNone(glance(f"{self.root}/link"))


class Snapshots(unittest.TestCase):
    def setUp(self) -> None:
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        self.snapshot = Snapshot(self.root)

    def write(self, *names: str) -> None:
        for name in names:
            Path(self.root, name).write_text(name)

    def pages(self, limit: int = 100_000) -> list[list[tuple[str, str]]]:
        """All pages of a scan as (name, change)."""
        self.snapshot.scan(limit)
        found = []
        while True:
            page = self.snapshot.page()
            found.append([(os.path.basename(entry["path"]), entry["change"]) for entry in page])
            self.assertLess(len(frames.encode_header({"files": page})), frames.MAX_HEADER)
            if not self.snapshot.more:
                return found

    def test_nothing_is_dropped(self) -> None:
        names = [f"{number:05d}" + "n" * 150 for number in range(5_000)]
        self.write(*names)
        pages = self.pages()
        self.assertGreater(len(pages), 3)
        self.assertEqual([item for page in pages for item in page], [(name, "created") for name in names])
        self.assertEqual(self.pages(), [[]])
        for name in names:
            os.unlink(os.path.join(self.root, name))
        self.assertEqual([item for page in self.pages() for item in page], [(name, "deleted") for name in names])

    def test_pages_that_nobody_took_come_again(self) -> None:
        names = [f"{number:05d}" + "n" * 150 for number in range(3_000)]
        self.write(*names)
        self.snapshot.scan(100_000)
        taken = len(self.snapshot.page())
        self.assertTrue(self.snapshot.more)
        self.write("new")
        rest = [name for page in self.pages() for name, _change in page]
        self.assertEqual(rest, names[taken:] + ["new"])

    def test_files_beyond_the_limit_come_when_there_is_room(self) -> None:
        self.write(*(f"{number}" for number in range(50)))
        walk = self.snapshot.scan(20)
        self.assertFalse(walk.complete)
        first = {entry["path"] for entry in self.snapshot.page()}
        self.assertEqual(len(first), 20)
        for path in first:
            os.unlink(path)
        second = {entry["path"] for entry in self.read(20) if entry["change"] == "created"}
        self.assertTrue(second.isdisjoint(first))
        for path in second:
            os.unlink(path)
        last = self.read(20)
        self.assertEqual(sum(entry["change"] == "created" for entry in last), 10)
        self.assertEqual({entry["path"] for entry in last if entry["change"] == "deleted"}, first | second)

    def read(self, limit: int) -> list[frames.Header]:
        self.snapshot.scan(limit)
        return self.snapshot.page()

    def test_what_is_remembered_is_bounded(self) -> None:
        for round_ in range(10):
            names = [f"{round_}-{number}" for number in range(30)]
            self.write(*names)
            self.read(20)
            for name in names:
                os.unlink(os.path.join(self.root, name))
        self.assertLessEqual(len(self.snapshot._known), 60)

    def test_what_the_host_stored_between_two_pages_is_no_change(self) -> None:
        self.write("a")
        self.snapshot.scan(100)
        self.write("a", "b")
        self.snapshot.note(b"a", tree.signature(os.stat(os.path.join(self.root, "a"))))
        self.assertEqual(self.snapshot.page(), [])
        self.assertEqual(self.pages(), [[("b", "created")]])

    def test_names_of_one_file(self) -> None:
        self.write("a", "c")
        os.link(os.path.join(self.root, "a"), os.path.join(self.root, "b"))
        a, b, c = self.read(100)
        self.assertEqual(a["identity"], b["identity"])
        self.assertNotIn("identity", c)

    def test_a_sparse_file_holds_no_more_than_its_disk(self) -> None:
        look = tree.Look((10_000, 0, 0, 1), 1)
        self.assertEqual(snapshot.entry("/mnt/data", b"a", look, 4_096)["stored_bytes"], 4_096)
        self.assertNotIn("stored_bytes", snapshot.entry("/mnt/data", b"a", look, 10_000))

    def test_count(self) -> None:
        self.write("a", "b")
        os.makedirs(os.path.join(self.root, "d/e"))
        os.symlink(self.root, os.path.join(self.root, "loop"))
        self.assertEqual(tree.count([self.root, "/does/not/exist"], 100), 5)
        self.assertEqual(tree.count([self.root], 3), 3)


class Pages:
    """A scanner of three pages, and a host that reads them."""

    congested = closed = False

    def __init__(self) -> None:
        self.left = [Report([{"path": name}], name != "c", True, 9) for name in "abc"]
        self.sent: list[str] = []
        self.last: Report | None = None
        self.report = FileReport(self, self, self.emit, self.done)  # type: ignore[arg-type]

    def scan(self, reply: Callable[[Report], None]) -> None:
        reply(self.left.pop(0))

    page = scan

    def emit(self, event: frames.Header) -> None:
        self.sent += [entry["path"] for entry in event["files"]]

    def done(self, report: Report) -> None:
        self.last = report


class Reports(unittest.TestCase):
    def test_all_pages(self) -> None:
        pages = Pages()
        pages.report.begin()
        self.assertEqual((pages.sent, pages.last and pages.last.files), (["a", "b"], [{"path": "c"}]))

    def test_a_slow_host_is_waited_for(self) -> None:
        pages = Pages()
        pages.congested = True
        pages.report.begin()
        self.assertEqual((pages.sent, pages.last), (["a"], None))
        pages.congested = False
        pages.report.drained()
        self.assertIsNotNone(pages.last)

    def test_for_a_host_that_left_the_rest_stays_where_it_is(self) -> None:
        for leaves_first in (True, False):
            pages = Pages()
            pages.closed = leaves_first
            pages.congested = True
            pages.report.begin()
            pages.report.abandon()
            self.assertIsNotNone(pages.last)
            self.assertEqual(len(pages.left), 2)
            pages.report.drained()
            self.assertEqual(len(pages.left), 2)


class Victims(unittest.TestCase):
    def test_who_dies(self) -> None:
        for kernel, children, victims in (
            (100, {}, []),
            (100, {7: 800, 8: 20}, [7]),
            (800, {7: 20, 8: 30}, []),
            (150, {7: 150}, [7]),
            (200, {7: 90, 8: 90, 9: 90}, [7, 8, 9]),
        ):
            with self.subTest(kernel=kernel, children=children):
                self.assertEqual(choose(kernel, children), victims)

    def setUp(self) -> None:
        self.clock = 100.0
        self.sizes = {1: 250 * MIB}
        self.killed: list[int] = []
        for where, name, fake in (
            (pressure, "resident", lambda pid: self.sizes.get(pid, 0)),
            (pressure.processes, "of_user", lambda _uid, known: iter(set(self.sizes) - set(known))),
            (pressure.processes, "send", lambda pid, _signal: self.killed.append(pid)),
            (pressure.time, "monotonic", lambda: self.clock),
        ):
            patcher = mock.patch.object(where, name, fake)
            patcher.start()
            self.addCleanup(patcher.stop)
        self.pressure = Pressure(1000, ["/proc"])

    def test_victims_may_add_until_they_are_gone(self) -> None:
        """Small alone, large together: all are killed, and their last pages are not the kernel's."""
        self.sizes |= {pid: 200 * MIB for pid in (7, 8, 9)}
        self.assertTrue(self.pressure.relieve(1))
        self.assertEqual(sorted(self.killed), [7, 8, 9])
        self.sizes |= {7: 240 * MIB, 8: 0}
        del self.sizes[9]
        self.clock += 0.1
        self.assertTrue(self.pressure.relieve(1))
        self.sizes = {1: 250 * MIB}
        self.clock += 1
        self.assertTrue(self.pressure.relieve(1))
        self.assertEqual((self.pressure.take(), self.pressure.take()), (3, 0))

    def test_the_next_one_is_killed_beside_the_dying(self) -> None:
        self.sizes |= {7: 800 * MIB}
        self.assertTrue(self.pressure.relieve(1))
        self.sizes |= {8: 300 * MIB}
        self.assertTrue(self.pressure.relieve(1))
        self.assertEqual(self.killed, [7, 8])

    def test_a_kernel_that_grows_meanwhile_is_to_blame(self) -> None:
        self.sizes |= {7: 800 * MIB}
        self.assertTrue(self.pressure.relieve(1))
        self.sizes = {1: 300 * MIB}
        self.assertFalse(self.pressure.relieve(1))

    def test_memory_that_does_not_come_back_is_the_kernels(self) -> None:
        self.sizes |= {7: 800 * MIB}
        self.assertTrue(self.pressure.relieve(1))
        del self.sizes[7]
        self.clock += 60
        self.assertFalse(self.pressure.relieve(1))


class Filter(unittest.TestCase):
    """The filter's instructions, run here as the kernel would."""

    def verdict(self, machine: str, architecture: int, number: int, *arguments: int) -> str:
        words = {seccomp._NUMBER_OFFSET: number, seccomp._ARCHITECTURE_OFFSET: architecture}
        for index, argument in enumerate(arguments):
            words[seccomp._ARGUMENTS_OFFSET + 8 * index] = argument & 0xFFFFFFFF
        program, at, value = seccomp.program(machine), 0, 0
        while True:
            code, yes, no, operand = program[at]
            at += 1
            if code == seccomp._LOAD:
                value = words.get(operand, 0)
            elif code == seccomp._AND:
                value &= operand
            elif code == seccomp._EQUAL:
                at += yes if value == operand else no
            elif code == seccomp._AT_LEAST:
                at += yes if value >= operand else no
            else:
                return "allowed" if operand == seccomp._RETURN_ALLOW else "denied"

    def test_verdicts(self) -> None:
        intel, arm = 0xC000003E, 0xC00000B7
        node = stat.S_IFCHR | 0o666
        block = stat.S_IFBLK | 0o600
        for machine, architecture, number, arguments, expected in (
            ("x86_64", intel, 133, (0, node), "denied"),
            ("x86_64", intel, 133, (0, block), "denied"),
            ("x86_64", intel, 133, (0, stat.S_IFIFO | 0o600), "allowed"),
            ("x86_64", intel, 133, (0, stat.S_IFREG | 0o600), "allowed"),
            ("x86_64", intel, 133, (0, 0o600), "allowed"),
            ("x86_64", intel, 133, (0, stat.S_IFSOCK), "allowed"),
            ("x86_64", intel, 259, (3, 0, node), "denied"),
            ("x86_64", intel, 259, (3, node, 0o600), "allowed"),
            ("x86_64", intel, 0, (3, node), "allowed"),
            ("x86_64", intel, 0x40000000 + 133, (0, node), "denied"),
            ("x86_64", 0x40000003, 14, (0, node), "denied"),
            ("aarch64", arm, 33, (3, 0, block), "denied"),
            ("aarch64", arm, 33, (3, 0, stat.S_IFIFO), "allowed"),
            ("aarch64", arm, 133, (0, node), "allowed"),
        ):
            with self.subTest(machine=machine, number=number, arguments=arguments):
                self.assertEqual(self.verdict(machine, architecture, number, *arguments), expected)


class Programs(unittest.TestCase):
    def test_pieces(self) -> None:
        for size, count in ((0, 1), (1, 1), (frames.MAX_PAYLOAD, 1), (frames.MAX_PAYLOAD + 1, 2), (programs.MAX_CODE, 30)):
            pieces = programs.pieces(b"x" * size)
            self.assertEqual((len(pieces), sum(map(len, pieces))), (count, size))


if __name__ == "__main__":
    unittest.main()
