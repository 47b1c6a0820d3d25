"""sys.stdout and sys.stderr of user code, over pipes to the supervisor.

Line by line at first, so that nothing printed before a crash is lost and the order with child
processes is kept; a cell that prints a lot is then written in larger pieces, at least every 50 ms.
"""

import array
import codecs
import fcntl
import io
import os
import select
import sys
import termios
import threading
import time
from collections.abc import Callable
from typing import Any

_HIGH_FD = 900
_FLUSH_SECONDS = 0.05
_LINES_AT_ONCE = 100
"""Writes of a cell that go out line by line."""
_MAX_WAITS = 2_000
"""Tenths of a millisecond, about, that a cell waits for the supervisor in all, to keep the order."""
_WAIT_SECONDS = 0.2
_FLUSHING_EVENTS = frozenset(("subprocess.Popen", "os.system", "os.posix_spawn", "os.exec", "os.fork", "os.forkpty"))


def _replace_surrogates(error: UnicodeError) -> tuple[bytes, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "\ufffd".encode() * (error.end - error.start), error.end


codecs.register_error("sandbox_replace", _replace_surrogates)


class _Pipe(io.RawIOBase):
    """The raw end: survives descriptors that a child made non-blocking."""

    def __init__(self, fd: int, streams: "Streams") -> None:
        super().__init__()
        self._fd = fd
        self._streams = streams

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._streams.before_write(self._fd)
        while True:
            try:
                return os.write(self._fd, view)
            except BlockingIOError:
                select.select([], [self._fd], [])


class Streams:
    """Called by serve.py around each cell. One for each kernel."""

    def __init__(self, pending: Callable[[], bool]) -> None:
        """`pending` tells whether something displayed has not reached the supervisor yet."""
        self._pending = pending
        self._saved = {fd: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HIGH_FD) for fd in (0, 1, 2)}
        self._identities = {fd: _identity(fd) for fd in self._saved}
        self._texts = {fd: self._open(fd) for fd in (1, 2)}
        self._stdin = open(self._saved[0], encoding="utf-8", closefd=False)
        self._last_fd = 1
        self._writes = 0
        self._waits = 0
        self._busy = threading.Event()
        self._thread: threading.Thread | None = None
        self._clib: Any = None
        sys.addaudithook(self._audit)
        os.register_at_fork(after_in_child=self._forked)
        self.restore()

    def begin(self) -> None:
        """A new cell."""
        self._writes = self._waits = 0

    def end(self) -> None:
        """All that was printed is in the pipes."""
        self._busy.clear()
        for text in (sys.stdout, sys.stderr, *self._texts.values()):
            try:
                text.flush()
            except (AttributeError, ValueError, OSError):
                pass
        if self._writes > _LINES_AT_ONCE:
            self._texts[1].reconfigure(line_buffering=True)
        self._flush_c()

    def restore(self) -> None:
        """After each cell: whatever it did to the descriptors and to sys, the next one starts in order."""
        for fd, saved in self._saved.items():
            if _identity(fd) != self._identities[fd]:
                os.dup2(saved, fd, inheritable=True)
                os.set_blocking(fd, True)
        for fd in (1, 2):
            if not _usable(self._texts[fd]):
                self._texts[fd] = self._open(fd)
        sys.stdin = sys.__stdin__ = self._stdin
        sys.stdout = sys.__stdout__ = self._texts[1]
        sys.stderr = sys.__stderr__ = self._texts[2]

    def before_write(self, fd: int) -> None:
        """Keeps the order of the two streams, and turns to larger pieces after many lines."""
        if fd != self._last_fd:
            other, self._last_fd = self._last_fd, fd
            if fd == 2:
                self._flush_quietly(1)
            self._wait_while(lambda: self._unread(other))
        self._wait_while(self._pending)
        self._writes += 1
        if self._writes == _LINES_AT_ONCE + 1:
            threading.Thread(target=self._gather, daemon=True, name="sandbox-flush").start()

    def _open(self, fd: int) -> io.TextIOWrapper:
        buffer = io.BufferedWriter(_Pipe(fd, self), 65_536)
        name = {1: "<stdout>", 2: "<stderr>"}[fd]
        text = io.TextIOWrapper(
            buffer, encoding="utf-8", errors="sandbox_replace", line_buffering=True, write_through=fd == 2
        )
        text.mode = "w"
        buffer.raw.name = name  # type: ignore[attr-defined]
        return text

    def _gather(self) -> None:
        """A thread for the rest of a cell that prints a lot."""
        text = self._texts[1]
        self._busy.set()
        try:
            text.reconfigure(line_buffering=False)
            while self._busy.is_set():
                time.sleep(_FLUSH_SECONDS)
                text.flush()
        except (ValueError, OSError):
            pass  # Closed by user code; the next cell gets a new one.

    def _flush_quietly(self, fd: int) -> None:
        try:
            self._texts[fd].flush()
        except (ValueError, OSError, RuntimeError):
            pass

    def _wait_while(self, condition: Callable[[], bool]) -> None:
        """Not long, and not often in one cell: order is a courtesy."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while self._waits < _MAX_WAITS and condition():
            self._waits += 1
            if time.monotonic() > deadline:
                return
            time.sleep(0.0001)

    def _unread(self, fd: int) -> bool:
        waiting = array.array("i", [0])
        try:
            fcntl.ioctl(self._saved[fd], termios.FIONREAD, waiting)
        except OSError:
            return False
        return waiting[0] > 0

    def _audit(self, event: str, _arguments: Any) -> None:
        if event in _FLUSHING_EVENTS:
            self._flush_quietly(1)

    def _forked(self) -> None:
        self._busy = threading.Event()

    def _flush_c(self) -> None:
        """printf of C libraries that user code has loaded."""
        if self._clib is None and "ctypes" in sys.modules:
            import ctypes

            self._clib = ctypes.CDLL(None)
        if self._clib is not None:
            self._clib.fflush(None)


def _identity(fd: int) -> tuple[int, int] | None:
    """Which file, pipe or device it is; None if it is closed."""
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _usable(text: io.TextIOWrapper) -> bool:
    try:
        return not text.closed
    except ValueError:
        return False  # Detached.
