"""Telling the host which files changed: page after page, no faster than it reads."""

from collections.abc import Callable
from typing import Protocol

from .frames import Header
from .workers import Report, Scanner


class Listener(Protocol):
    """The connection that the pages go to."""

    @property
    def congested(self) -> bool: ...

    @property
    def closed(self) -> bool: ...


class FileReport:
    """One report. `emit` sends an event; `done` gets the last page, which belongs into the execution's `done`."""

    def __init__(
        self, scanner: Scanner, host: Listener, emit: Callable[[Header], None], done: Callable[[Report], None]
    ) -> None:
        self._scanner = scanner
        self._host = host
        self._emit = emit
        self._done = done
        self._waiting = False

    def begin(self) -> None:
        self._scanner.scan(self._take)

    def drained(self) -> None:
        """The host has read enough to go on."""
        if self._waiting:
            self._waiting = False
            self._scanner.page(self._take)

    def abandon(self) -> None:
        """The host is gone while it was waited for."""
        if self._waiting:
            self._waiting = False
            self._done(Report([], False, False))

    def _take(self, report: Report) -> None:
        if not report.more or self._host.closed:
            # Where nobody listens any more, the pages that were not asked for stay for the next report.
            self._done(report)
            return
        self._emit({"event": "files", "files": report.files})
        if self._host.congested:
            self._waiting = True
        else:
            self._scanner.page(self._take)
