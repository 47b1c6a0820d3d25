"""Reading what the kernel and its children write to their stdout or stderr."""

import os
from collections.abc import Callable

from .loop import READ, Loop

_READ_BYTES = 65_536
_SMALL_READ = 4_096
_MAX_DRAIN = 64
"""Reads in one drain: a child that writes without end must not hold us."""
_REST_SECONDS = 0.01


class OutputPipe:
    """Calls `on_data` with bytes as they come. Owns the descriptor."""

    def __init__(self, loop: Loop, fd: int, on_data: Callable[[bytes], None]) -> None:
        self._loop = loop
        self._fd = fd
        self._on_data = on_data
        self._open = True
        self._paused = False
        self._resting = False
        self.busy = False
        """Set by the reader of `on_data` when there were many events: small reads are then gathered."""
        self._watch()

    def drain(self) -> None:
        """Takes what is there now, also while paused."""
        for _ in range(_MAX_DRAIN):
            if not self._read():
                return

    def pause(self, paused: bool) -> None:
        if paused != self._paused:
            self._paused = paused
            self._watch()

    def close(self) -> None:
        if self._open:
            self._open = False
            self._loop.forget(self._fd)
            os.close(self._fd)

    def _watch(self) -> None:
        if not self._open:
            return
        if self._paused or self._resting:
            self._loop.forget(self._fd)
        else:
            self._loop.watch(self._fd, READ, self._ready)

    def _ready(self, _events: int) -> None:
        size = self._read()
        if self._open and self.busy and 0 < size < _SMALL_READ:
            self._resting = True
            self._watch()
            self._loop.after(_REST_SECONDS, self._rested)

    def _rested(self) -> None:
        self._resting = False
        self._watch()

    def _read(self) -> int:
        if not self._open:
            return 0
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return 0
        if not data:
            self.close()
            return 0
        self._on_data(data)
        return len(data)
