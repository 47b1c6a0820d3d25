"""The event loop: descriptors, timers, signals. One thread; every callback must return at once."""

import heapq
import select
import signal
import socket
import time
from collections.abc import Callable

READ = select.EPOLLIN
WRITE = select.EPOLLOUT


class Timer:
    """A callback in the future. `cancel()` may be called at any time, also twice."""

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class Loop:
    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._sequence = 0
        self._soon: list[Callable[[], None]] = []
        self._running = False

    def watch(self, fd: int, mask: int, handler: Callable[[int], None]) -> None:
        """Calls `handler(events)` when fd is ready; a second call changes the mask."""
        if fd in self._handlers:
            self._epoll.modify(fd, mask)
        else:
            self._epoll.register(fd, mask)
        self._handlers[fd] = handler

    def forget(self, fd: int) -> None:
        """Must be called before the descriptor is closed."""
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def after(self, seconds: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(time.monotonic() + seconds, callback)
        self._sequence += 1
        heapq.heappush(self._timers, (timer.when, self._sequence, timer))
        return timer

    def soon(self, callback: Callable[[], None]) -> None:
        """At the end of this round, after all handlers and timers that are due."""
        self._soon.append(callback)

    def on_signals(self, handlers: dict[signal.Signals, Callable[[], None]]) -> None:
        """Handlers run from the loop, not from the signal's own context. Call once."""
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        for number in handlers:
            signal.signal(number, lambda _number, _frame: None)

        def arrived(_events: int) -> None:
            for number in set(reader.recv(4096)):
                if number in handlers:
                    handlers[signal.Signals(number)]()

        self._signal_sockets = (reader, writer)
        self.watch(reader.fileno(), READ, arrived)

    def stop(self) -> None:
        self._running = False

    def run(self) -> None:
        self._running = True
        while self._running:
            for fd, events in self._epoll.poll(self._wait()):
                handler = self._handlers.get(fd)
                if handler is not None:
                    handler(events)
            self._run_timers()
            self.run_soon()

    def run_soon(self) -> None:
        """Part of each round; called beside that only before the loop ends."""
        while self._soon:
            callbacks, self._soon = self._soon, []
            for callback in callbacks:
                callback()

    def _wait(self) -> float | None:
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        if self._soon:
            return 0.0
        if not self._timers:
            return None
        return max(0.0, self._timers[0][0] - time.monotonic())

    def _run_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()
