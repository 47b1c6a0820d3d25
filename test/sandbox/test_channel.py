"""Random frames on the kernel's channel: they may end the channel, never the supervisor."""

import json
import random
import socket
import struct
import sys
import unittest
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "sandbox"))

from supervisor import faults, stream  # noqa: E402
from supervisor.execution import Execution  # noqa: E402
from supervisor.frames import Header, pack  # noqa: E402
from supervisor.kernel import End, KernelKeeper, Way  # noqa: E402
from supervisor.limits import Limits  # noqa: E402
from supervisor.loop import Loop  # noqa: E402
from supervisor.programs import Program  # noqa: E402
from supervisor.stream import FrameStream  # noqa: E402
from supervisor.workers import Report  # noqa: E402

SEED = 20_261
ROUNDS = 4_000


class Nothing:
    """Takes every call and says nothing."""

    def __getattr__(self, _name: str) -> Any:
        return lambda *_arguments, **_more: None


class Room:
    """What an execution needs of the supervisor, with a kernel that does nothing."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.kernel = Nothing()
        self.kernel.lost = False
        self.kernel.when_ready = lambda callback: callback(True)
        self.watch = Nothing()
        self.watch.limit, self.watch.peak = 1 << 30, 0
        self.watch.near = lambda: False
        self.entries = Nothing()
        self.pressure = Nothing()
        self.pressure.take = lambda: 0
        self.scanner = Nothing()
        self.scanner.max_files = 10
        changed = [{"path": "/mnt/data/before", "bytes": 1, "mtime_ms": 1, "change": "created"}]
        self.scanner.scan = lambda reply: reply(Report(changed, False, True, 1))

    def empty_scratch(self) -> None: ...

    def left_processes(self) -> int:
        return 0


class Host:
    congested = closed = False

    def __init__(self) -> None:
        self.events: list[Header] = []
        self.pieces: list[tuple[str, int, bool, int]] = []
        """Of the value: where from, bytes in all, whether more comes, bytes of the piece."""

    def send(self, header: Header, payload: bytes = b"") -> None:
        pack(header, payload)
        self.events.append(header)
        if header["event"] == "value":
            self.pieces.append((header["from"], header["bytes"], header["more"], len(payload)))


class Frames(unittest.TestCase):
    def setUp(self) -> None:
        self.reports: list[str] = []
        self.values = 0
        report = stream.report
        stream.report = self.reports.append
        self.addCleanup(setattr, stream, "report", report)

    def one(self, data: bytes) -> tuple[list[Header], str | None]:
        """What the host is told when the kernel sends these bytes and then ends, and why its channel ended."""
        loop, room, host = Loop(), None, Host()
        room = Room(loop)
        execution = Execution(room, host, 7, Limits(), lambda: None)  # type: ignore[arg-type]
        ours, theirs = socket.socketpair()
        reasons: list[str] = []
        keeper = KernelKeeper.__new__(KernelKeeper)
        keeper._user, keeper.state, keeper._configuring = execution, "busy", None
        channel = FrameStream(
            loop, ours,
            lambda header, payload: None if keeper._accept(header, payload) else channel.close("a message that no kernel sends"),
            reasons.append,
        )
        # From then on the keeper hands on nothing more.
        room.kernel.finished = lambda: setattr(keeper, "_user", None)
        execution.start(Program(b"1", {"inputs_bytes": 0, "returns": "none"}))
        theirs.sendall(data)
        theirs.close()
        channel.drain()
        channel.close("the end")
        if host.events[-1]["event"] != "done":
            execution.on_death(End(Way.PROTOCOL, reasons[0]))
        loop._epoll.close()
        self.sound(host.pieces)
        return host.events, reasons[0] if reasons else None

    def sound(self, pieces: list[tuple[str, int, bool, int]]) -> None:
        """One value at most, and never more of it than its first piece said."""
        self.values += len(pieces)
        self.assertLessEqual(len({(source, size) for source, size, _more, _bytes in pieces}), 1)
        for number, (_source, size, more, _bytes) in enumerate(pieces, 1):
            came = sum(piece[3] for piece in pieces[:number])
            self.assertEqual(more, came < size)

    def test_random_frames(self) -> None:
        draw = random.Random(SEED)
        for number in range(ROUNDS):
            data = b"".join(frame(draw) for _ in range(draw.randint(1, 4)))
            with self.subTest(round=number):
                events, _reason = self.one(data[:60_000])
                self.assertEqual([event["event"] for event in events].count("done"), 1)
                done = events[-1]
                self.assertIn(done["status"], ("completed", "kernel_died"))
                self.assertEqual([entry["path"] for entry in done["files"]], ["/mnt/data/before"])
        self.assertGreater(self.values, 20)

    def test_a_value_of_two_sizes_ends_its_channel(self) -> None:
        def piece(size: int, more: bool, payload: bytes) -> bytes:
            return pack({"t": "value", "from": "result", "bytes": size, "more": more, "notes": []}, payload)

        done = pack({"t": "done", "id": 7})
        events, reason = self.one(piece(4, True, b"12") + piece(4, False, b"34") + done)
        self.assertEqual((events[-1]["status"], reason), ("completed", "closed by the other side"))
        _events, reason = self.one(piece(4, True, b"12") + piece(1 << 40, False, b"34") + done)
        self.assertEqual(reason, "a message that no kernel sends")

    def test_a_handler_that_fails_ends_its_channel(self) -> None:
        loop = Loop()
        ours, theirs = socket.socketpair()
        reasons: list[str] = []

        def fails(_header: Header, _payload: bytes) -> None:
            raise TypeError("unhashable type")

        channel = FrameStream(loop, ours, fails, reasons.append)
        theirs.sendall(pack({"t": "x"}))
        channel.drain()
        self.assertEqual(reasons, ["a frame that cannot be handled (TypeError)"])
        self.assertEqual(len(self.reports), 1)
        theirs.close()
        loop._epoll.close()


def frame(draw: random.Random) -> bytes:
    """Mostly near what a kernel sends, sometimes any bytes."""
    if draw.random() < 0.1:
        return draw.randbytes(draw.randint(1, 200))
    header: Any = {"t": draw.choice(["done", "result", "display", "error", "image", "image_dropped", "value", "value", "value_dropped", "ready", "configured", "x", value(draw)])}
    for name in ("id", "mime", "bytes", "more", "cut", "name", "value", "ack"):
        if draw.random() < 0.6:
            header[name] = value(draw)
    if header["t"] in ("value", "value_dropped") and draw.random() < 0.8:
        # Near enough to what a kernel sends to get through now and then.
        header |= {
            "from": draw.choice(["result", "result", "expression", value(draw)]), "notes": draw.choice([[], ["cut"], value(draw)]),
            "bytes": draw.choice([8, 9, 20, 28, value(draw)]), "more": draw.choice([True, False]), "reason": draw.choice(["why", value(draw)]),
        }
    text = json.dumps(header).encode()
    if draw.random() < 0.05:
        text = draw.choice([b"[]", b"null", b"{", b"\xff\xff", b"[" * 5_000, b'{"t":' + b"9" * 5_000 + b"}", b'{"t":NaN}'])
    payload = draw.choice([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xffx", draw.randbytes(20), b"\xff" * 9])
    lengths = (len(text), len(payload))
    if draw.random() < 0.03:
        lengths = (draw.getrandbits(32), draw.getrandbits(32))
    return struct.pack(">II", *lengths) + text + payload


def value(draw: random.Random) -> Any:
    return draw.choice([
        None, True, False, 0, 1, 7, 8, -1, 1 << 62, 10**4_000, 1.5, float("inf"), float("nan"), "", "image/png", "image/jpeg",
        "\ud800", "x" * 300, [], [1], {}, {"a": []}, [[]], "done",
    ])


if __name__ == "__main__":
    faults.report("seed " + str(SEED))
    unittest.main()
