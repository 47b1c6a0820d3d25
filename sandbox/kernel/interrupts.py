"""What SIGINT does: KeyboardInterrupt in user code, nothing while idle, later while a frame is sent."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    def __init__(self) -> None:
        self._executing = False
        self._deferred = 0
        self._pending = False
        self._main = threading.get_ident()

    def install(self) -> None:
        """Before each execution: user code may have put a handler of its own there."""
        signal.signal(signal.SIGINT, self._arrived)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])

    @contextmanager
    def executing(self) -> Iterator[None]:
        """User code runs in here."""
        self.install()
        self._pending = False
        self._executing = True
        try:
            yield
        finally:
            self._executing = False

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """No KeyboardInterrupt in here; one that came is raised at the end."""
        if threading.get_ident() != self._main:
            yield
            return
        self._deferred += 1
        try:
            yield
        finally:
            self._deferred -= 1
            if self._pending and not self._deferred and self._executing:
                self._pending = False
                raise KeyboardInterrupt

    def _arrived(self, _number: int, _frame: FrameType | None) -> None:
        if not self._executing:
            return
        if self._deferred:
            self._pending = True
            return
        raise KeyboardInterrupt
