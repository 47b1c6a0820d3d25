"""The kernel's end of the channel to the supervisor: frames as in ../README.md, blocking.

User code shares this process and can break the channel; then the supervisor replaces the kernel.
"""

import array
import fcntl
import json
import os
import select
import struct
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .interrupts import Interrupts

_LENGTHS = struct.Struct(">II")
_FIRST_HIGH_FD = 900
"""Descriptors of ours are above what programs close or count on."""
_MAX_PIECE = 1_048_576
_SEEN_BYTES = _LENGTHS.size + len('{"t":"seen"}')
Header = dict[str, Any]


class Channel:
    def __init__(self, fd: int, interrupts: Interrupts) -> None:
        self._fd = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_HIGH_FD)
        os.close(fd)
        self._pid = os.getpid()
        self._interrupts = interrupts
        self._lock = threading.Lock()
        self._held = b""
        self._muted = False
        os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        """A child of user code is no kernel."""
        self._lock = threading.Lock()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def send(self, header: Header, payload: bytes | memoryview = b"") -> None:
        """Whole or not at all: SIGINT waits, other threads wait. In a forked child nothing happens."""
        if self._fd < 0 or self._muted:
            return
        frame = _frame(header, payload)
        with self._interrupts.deferred(), self._lock:
            data = memoryview(self._held + frame)
            self._held = b""
            while data:
                try:
                    data = data[os.write(self._fd, data) :]
                except BlockingIOError:
                    select.select([], [self._fd], [])

    def hold(self, header: Header, payload: bytes) -> None:
        """Goes out in front of the next frame: one message less to wake up for."""
        if self._muted:
            return
        with self._interrupts.deferred(), self._lock:
            self._held += _frame(header, payload)

    @contextmanager
    def muted(self) -> Iterator[None]:
        """Nothing is sent in here: nobody asked for it."""
        self._muted = True
        try:
            yield
        finally:
            self._muted = False

    def send_pieces(self, header: Header, payload: bytes) -> None:
        """A payload of any length, with `more` on all frames but the last. One after the other."""
        view = memoryview(payload)
        for start in range(0, len(view), _MAX_PIECE):
            end = start + _MAX_PIECE
            self.send({**header, "bytes": len(view), "more": end < len(view)}, view[start:end])

    def seen(self, receipts: int) -> bool:
        """Whether that many `seen` frames have arrived. They are read, and ignored, after the cell."""
        if self._fd < 0 or self._muted:
            return True
        waiting = array.array("i", [0])
        fcntl.ioctl(self._fd, termios.FIONREAD, waiting)
        return waiting[0] >= receipts * _SEEN_BYTES

    def receive(self) -> tuple[Header, bytes]:
        """Blocks until the supervisor wants something. EOFError when it is gone."""
        header_length, payload_length = _LENGTHS.unpack(self._exactly(_LENGTHS.size))
        header = json.loads(self._exactly(header_length))
        return header, self._exactly(payload_length)

    def _exactly(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size:
            try:
                data = os.read(self._fd, size)
            except BlockingIOError:
                select.select([self._fd], [], [])
                continue
            if not data:
                raise EOFError
            parts.append(data)
            size -= len(data)
        return b"".join(parts)


def _frame(header: Header, payload: bytes | memoryview) -> bytes:
    text = json.dumps(header, separators=(",", ":")).encode()
    return b"".join((_LENGTHS.pack(len(text), len(payload)), text, payload))
