"""Parts of the supervisor that touch nothing outside themselves."""

import json
import struct
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "sandbox"))

from supervisor import frames, limits, memory, options  # noqa: E402
from supervisor.files import paths  # noqa: E402
from supervisor.files.failures import Refused  # noqa: E402
from supervisor.images import ImageRelay  # noqa: E402
from supervisor.output import OutputLog, fit  # noqa: E402


class Frames(unittest.TestCase):
    def test_round_trip_in_single_bytes(self) -> None:
        decoder = frames.Decoder()
        data = frames.pack({"id": 1, "text": "é\u2028"}, b"\0\xff") + frames.pack({"id": 2})
        found = []
        for byte in data:
            decoder.feed(bytes([byte]))
            found += list(decoder)
        self.assertEqual(found, [({"id": 1, "text": "é\u2028"}, b"\0\xff"), ({"id": 2}, b"")])

    def test_lone_surrogates_become_escapes(self) -> None:
        self.assertIn(b"\\udc80", frames.pack({"path": "a\udc80"}))

    def test_out_of_bounds(self) -> None:
        for data in (
            struct.pack(">II", 1, 0) + b"{",
            struct.pack(">II", frames.MAX_HEADER + 1, 0),
            struct.pack(">II", 2, frames.MAX_PAYLOAD + 1),
            struct.pack(">II", 2, 0) + b"[]",
            struct.pack(">II", 4, 0) + b"\xff\xff\xff\xff",
            struct.pack(">II", 100_000, 0) + b"[" * 100_000,
        ):
            decoder = frames.Decoder()
            decoder.feed(data)
            with self.assertRaises(frames.BadFrame):
                decoder.next()


class Paths(unittest.TestCase):
    def test_good(self) -> None:
        self.assertEqual(paths.parse("/mnt/data", "/mnt/data/a/b\n\udc80.csv"), [b"a", b"b\n\x80.csv"])
        self.assertEqual(paths.to_text(b"\x80"), "\udc80")

    def test_bad(self) -> None:
        bad: list[object] = ["", "/", "/mnt/data", "/mnt/data/", "/mnt/datax/a", "a", "/etc/passwd", None, 3]
        bad += ["/mnt/data/../x", "/mnt/data/a/../b", "/mnt/data/.", "/mnt/data//a", "/mnt/data/a/"]
        bad += ["/mnt/data/a\0b", "/mnt/data/" + "a" * 256, "/mnt/data/" + "a/" * 64 + "b", "/mnt/data/\ud800"]
        for path in bad:
            with self.subTest(path=path), self.assertRaises(Refused) as caught:
                paths.parse("/mnt/data", path)
            self.assertEqual(caught.exception.code, "invalid_path")


class Output(unittest.TestCase):
    def setUp(self) -> None:
        self.events: list[frames.Header] = []
        self.log = OutputLog(self.events.append, 1_000)

    def add(self, text: str, event: str = "stdout") -> None:
        self.log.add(event, text, len(text.encode()))

    def test_short_output_is_untouched(self) -> None:
        self.add("a" * 200)
        self.add("b" * 200, "stderr")
        self.log.finish()
        self.assertEqual([event["event"] for event in self.events], ["stdout", "stderr"])
        self.assertEqual(self.log.cut, 0)

    def test_head_and_tail_are_kept(self) -> None:
        for number in range(1_000):
            self.add(f"{number:09d}\n")
        self.log.finish()
        text = "".join(event["text"] for event in self.events)
        self.assertTrue(text.startswith("000000000\n"))
        self.assertTrue(text.endswith("000000999\n"))
        self.assertIn(f"[... {self.log.cut:,} bytes of output left out ...]", text)
        self.assertEqual(self.log.cut, 9_000)
        self.assertLess(len(text), 1_100)

    def test_nothing_cut_when_head_and_tail_meet(self) -> None:
        self.add("x" * 499 + "é" * 200)
        self.log.finish()
        self.assertEqual("".join(event["text"] for event in self.events), "x" * 499 + "é" * 200)

    def test_errors_come_last(self) -> None:
        self.add("x" * 5_000)
        self.log.add_error({"event": "error"})
        self.add("y" * 5_000)
        self.log.finish()
        self.assertEqual(self.events[-1], {"event": "error"})

    def test_a_flood_of_empty_displays_ends(self) -> None:
        for _ in range(10_000):
            self.add("d", "display")
        self.log.finish()
        self.assertLess(len(self.events), 50)

    def test_escapes_fit_a_frame(self) -> None:
        header = fit({"event": "result", "text": "\0" * 131_072})
        self.assertLess(len(json.dumps(header)), frames.MAX_HEADER)


class Images(unittest.TestCase):
    PNG = b"\x89PNG\r\n\x1a\n"

    def setUp(self) -> None:
        self.sent: list[frames.Header] = []
        self.relay = ImageRelay(lambda header, _payload: self.sent.append(header), 2, 100)

    def piece(self, payload: bytes, size: int, more: bool, mime: str = "image/png") -> bool:
        return self.relay.piece({"mime": mime, "bytes": size, "more": more}, payload)

    def test_pieces(self) -> None:
        self.assertTrue(self.piece(self.PNG, 10, True))
        self.assertTrue(self.piece(b"xx", 10, False))
        self.assertEqual([header["index"] for header in self.sent], [0, 0])

    def test_bounds(self) -> None:
        self.assertTrue(self.piece(self.PNG + b"x" * 193, 201, False))
        for _ in range(3):
            self.assertTrue(self.piece(self.PNG, 8, False))
        self.assertEqual((self.relay.sent, self.relay.too_many, self.relay.too_large), (1, 2, [201]))

    def test_lies(self) -> None:
        self.assertFalse(self.piece(b"<svg>", 5, False))
        self.assertFalse(self.piece(self.PNG, 8, False, "text/html"))
        self.assertFalse(self.piece(self.PNG, 4, False))
        for odd in ([], {}, None, 1, 1.5):
            self.assertFalse(self.relay.piece({"mime": odd, "bytes": 8, "more": False}, self.PNG))
            self.assertFalse(self.relay.piece({"mime": "image/png", "bytes": odd, "more": 0}, self.PNG))


class Numbers(unittest.TestCase):
    def test_limits(self) -> None:
        self.assertEqual(limits.read_limits({}).timeout_ms, 120_000)
        self.assertEqual(limits.read_limits({"timeout_ms": 5}).timeout_ms, 5)
        for bad in ({"timeout_ms": 0}, {"timeout_ms": "5"}, {"timeout_ms": True}, {"max_images": -1}, {"grace_ms": 1.5}):
            with self.assertRaises(Refused):
                limits.read_limits(bad)

    def test_options(self) -> None:
        found = options.read_options(["--max-files", "7"], {"SANDBOX_MAX_FILES": "9", "SANDBOX_UID": "5"})
        self.assertEqual((found.max_files, found.uid), (7, 5))
        for bad in (["--nope", "1"], ["--uid"], ["--uid", "-1"]):
            with self.assertRaises(options.BadOption):
                options.read_options(bad, {})

    def test_memory_in_words(self) -> None:
        self.assertEqual(memory.in_words(1 << 30), "1 GiB (memory_limit=1g)")


if __name__ == "__main__":
    unittest.main()
