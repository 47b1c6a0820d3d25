"""The watches: memory is sampled while code runs, ever more often the closer the limit is; files are counted."""

import time
from collections.abc import Callable

from .loop import Loop, Timer
from .memory import Meter
from .workers import Scanner

_LONGEST = 0.025
_SHORTEST = 0.004
_IDLE = 1.0
_SHORT = 0.01
"""Seconds in which memory cannot grow enough to be worth a sample."""
_FASTEST_GROWTH = 8_000_000_000
"""Bytes a second that two or three processors can dirty; decides when to look again."""


class MemoryWatch:
    """Calls `on_exceeded` whenever a sample is above `limit`, in executions and, slower, between them."""

    def __init__(self, loop: Loop, meter: Meter, limit: int, on_exceeded: Callable[[], None]) -> None:
        self._loop = loop
        self._meter = meter
        self._on_exceeded = on_exceeded
        self._timer: Timer | None = None
        self._active = False
        self._last = 0
        self.peak = 0
        """Most bytes seen since `begin`."""
        self.set_limit(limit)

    def set_limit(self, limit: int) -> None:
        """Bytes; 0 is none."""
        self.limit = limit
        self._meter.calibrate(limit)

    def begin(self) -> None:
        """An execution starts."""
        self.peak = self._last or self.sample()
        self._active = True
        self._again(_LONGEST)

    def end(self, seconds: float) -> None:
        """The execution is over after so long; leftover processes may still grow."""
        if seconds > _SHORT:
            self.sample()
        self._active = False
        self._again(_IDLE)

    def sample(self) -> int:
        used = self._last = self._meter.used()
        self.peak = max(self.peak, used)
        return used

    def near(self) -> bool:
        """Whether the last execution came so close that the host may have been quicker to kill."""
        return self.limit > 0 and self.peak > self.limit * 0.8

    def _look(self) -> None:
        used = self.sample()
        if not self._active:
            self._again(_IDLE)
        elif self.limit:
            self._again(min(_LONGEST, max(_SHORTEST, (self.limit - used) / _FASTEST_GROWTH)))
        else:
            self._again(_LONGEST)
        if self.limit and used > self.limit:
            self._on_exceeded()

    def _again(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.after(seconds, self._look)


_COUNT_SECONDS = 0.25
_COUNT_SHARE = 10
"""A count may take a tenth of the time between two."""
_MOST_COUNTED = 4_000_000


class EntryWatch:
    """Counts files and directories while code runs: each costs gVisor some 2 KB of its own memory, which
    nothing inside limits, and with about a million of them the host would end the sandbox.

    Calls `on_exceeded` at each count that is above the limit and above the count before: code that
    removes files is left alone.
    """

    def __init__(self, loop: Loop, scanner: Scanner, limit: int, on_exceeded: Callable[[], None]) -> None:
        self._loop = loop
        self._scanner = scanner
        self._least = limit
        self._on_exceeded = on_exceeded
        self._timer: Timer | None = None
        self._active = False
        self._run = 0
        self._last = 0

    @property
    def limit(self) -> int:
        return max(self._least, 2 * self._scanner.max_files)

    def begin(self) -> None:
        """An execution starts."""
        self._active = True
        self._run += 1
        self._again(_COUNT_SECONDS)

    def end(self) -> None:
        """The execution is over; only what a later one adds is its fault."""
        self._active = False
        if self._timer is not None:
            self._timer.cancel()
        if self._last > self.limit // 2:
            self._count()

    def _count(self) -> None:
        run, begun = self._run, time.monotonic()

        def counted(entries: int) -> None:
            before, self._last = self._last, entries
            if not self._active or run != self._run:
                return
            self._again(max(_COUNT_SECONDS, _COUNT_SHARE * (time.monotonic() - begun)))
            if entries > self.limit and entries > before:
                self._on_exceeded()

        self._scanner.count_entries(_MOST_COUNTED, counted)

    def _again(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.after(seconds, self._count)
