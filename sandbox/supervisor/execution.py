"""One run of code, from `execute` to its `done`.

    waiting ──kernel ready──► running ──kernel done──► scanning ──► over
       │                        │  ▲ timeout or interrupt: SIGINT, then after grace_ms:
       │                        └──┴── killed (timeout, memory, death) ──► scanning
       └──interrupt, no kernel──────────────────────────────────────────► scanning

The kernel only supplies values; status, times, memory and files are observed here.
"""

import time
from collections.abc import Callable
from typing import Protocol

from .frames import Header
from .images import ImageRelay
from .kernel import End, KernelKeeper, Way
from .limits import Limits
from .loop import Loop, Timer
from .notices import Notices
from .output import MAX_TEXT, OutputLog, StreamDecoder, clean
from .pressure import Pressure
from .programs import Program
from .report import FileReport
from .value import ValueRelay
from .watch import EntryWatch, MemoryWatch
from .workers import Report, Scanner

_MAX_ERRORS = 8
"""Tracebacks a kernel may send in one execution; an honest one sends one."""
_FLOOD_SECONDS = 2.0
"""What code that makes too many files has, once it was asked to stop, before more of them end it."""
_BEGIN_SECONDS = 0.05
"""After which a kernel that was sent code certainly listens for SIGINT."""
_GATHER_AFTER = 200
"""Text events after which small writes are gathered for a moment."""
_MAX_RESULT = 131_072
"""Bytes of one `result` or `display`; the kernel shortens to less."""


class Host(Protocol):
    """Where events go: the connection that asked."""

    @property
    def congested(self) -> bool: ...

    @property
    def closed(self) -> bool: ...

    def send(self, header: Header, payload: bytes = b"") -> None: ...


class Room(Protocol):
    """What the supervisor lends to an execution."""

    loop: Loop
    kernel: KernelKeeper
    watch: MemoryWatch
    entries: EntryWatch
    pressure: Pressure
    scanner: Scanner

    def empty_scratch(self) -> None: ...

    def left_processes(self) -> int: ...

    def end_started(self) -> bool: ...


class Execution:
    def __init__(self, room: Room, host: Host, identifier: int, limits: Limits, over: Callable[[], None]) -> None:
        self._room = room
        self._host = host
        self._id = identifier
        self._limits = limits
        self._over = over
        self._state = "waiting"
        self._status = ""
        self._cause: str | None = None
        self._state_lost = False
        self._flooded: float | None = None
        """When it was asked to stop because of too many files."""
        self._notices = Notices(limits)
        self._timer: Timer | None = None
        self._begun = self._ended = time.monotonic()
        self._errors = 0
        self._paused = False
        self._decoders = {"stdout": StreamDecoder(), "stderr": StreamDecoder()}
        self._log = OutputLog(self._emit, limits.max_output_bytes)
        self._images = ImageRelay(self._emit, limits.max_images, limits.max_image_bytes)
        self._value = ValueRelay(self._emit, limits.max_value_bytes)
        self._report = FileReport(room.scanner, host, self._emit, self._done)

    def start(self, program: Program) -> None:
        self._room.kernel.when_ready(lambda ready: self._run(program, ready))

    @property
    def running(self) -> bool:
        """Whether code is in the kernel now."""
        return self._state == "running"

    def stop(self, cause: str) -> None:
        """First rung of the ladder; `cause` is `interrupted` or `timed_out`."""
        if self._cause is not None or self._state == "scanning":
            return
        self._cause = cause
        if self._state == "waiting":
            self._finish(cause)
            return
        # A kernel that has not begun yet would miss the signal.
        early = max(0.0, self._begun + _BEGIN_SECONDS - time.monotonic())
        self._set_timer(round(early * 1000), self._interrupt)

    def kill(self, cause: str) -> None:
        """Last rung at once, for `restart`."""
        if self.running:
            self._lose_state(cause)

    def exceeded_memory(self) -> None:
        if self.running and not self._room.pressure.relieve(self._room.kernel.pid):
            self._run_out_of_memory()

    def exceeded_entries(self) -> None:
        """Too many files. Code that goes on making them although it was asked to stop is killed."""
        if not self.running:
            return
        if self._flooded is not None:
            if time.monotonic() - self._flooded >= _FLOOD_SECONDS:
                self._lose_state(self._cause or "interrupted")
            return
        self._flooded = time.monotonic()
        self._notices.too_many_entries(self._room.entries.limit)
        self.stop("interrupted")

    def abandoned(self) -> None:
        """The host's connection is gone."""
        self.stop("interrupted")
        self._report.abandon()

    def drained(self) -> None:
        """The host has read enough to go on."""
        if self._state == "scanning":
            self._report.drained()
        if self._paused and not self._host.congested:
            self._paused = False
            self._room.kernel.pause(False)

    # What the kernel's keeper calls

    def on_message(self, header: Header, payload: bytes) -> bool:
        sound = self._handle(header, payload)
        if header.get("ack") is True and header.get("more") is not True and self.running:
            # The kernel lets nothing be printed until this has arrived: so the order is kept.
            self._room.kernel.acknowledge()
        return sound

    def _handle(self, header: Header, payload: bytes) -> bool:
        match header.get("t"):
            case "done":
                if header.get("id") != self._id or self._state != "running":
                    return False
                self._room.kernel.finished()
                if self._cause is not None and not self._room.end_started():
                    self._lose_state(self._cause)
                    return True
                self._notices.stopped(self._cause, self._state_lost)
                self._finish(self._cause or "completed")
                return True
            case "result" | "display" as kind:
                return self._text(kind, header, payload)
            case "error":
                return self._error(header, payload)
            case "image":
                return self._images.piece(header, payload)
            case "value":
                return self._value.piece(header, payload)
            case "value_dropped":
                return self._value.drop(header.get("reason"))
            case "image_dropped":
                size = header.get("bytes")
                self._images.dropped(size if type(size) is int and 0 < size < 1 << 50 else 0)
                return True
        return False

    def on_output(self, stream: str, data: bytes) -> None:
        for start in range(0, len(data), MAX_TEXT):
            piece = data[start : start + MAX_TEXT]
            self._log.add(stream, self._decoders[stream].text(piece), len(piece))
        if self._log.events == _GATHER_AFTER:
            self._room.kernel.gather_output()

    def on_death(self, end: End) -> None:
        if self._room.watch.near() and end.way is Way.MAYBE_KILLED_BY_HOST:
            self._run_out_of_memory()
            return
        self._state_lost = True
        self._notices.died(end, stopped=self._cause is not None)
        self._finish(self._cause or "kernel_died")

    # The steps

    def _run(self, program: Program, ready: bool) -> None:
        if self._state != "waiting":
            return
        if not ready:
            self._host.send(
                {"id": self._id, "event": "failed", "code": "internal", "message": "Python does not start"}
            )
            self._state = "over"
            self._over()
            return
        self._state = "running"
        self._begun = time.monotonic()
        self._emit({"event": "started"})
        if self._room.kernel.lost:
            self._room.kernel.lost = False
            self._state_lost = True
            self._notices.died_before()
        self._set_timer(self._limits.timeout_ms, lambda: self.stop("timed_out"))
        self._room.watch.begin()
        self._room.entries.begin()
        limits = {name: getattr(self._limits, name) for name in ("max_images", "max_image_bytes", "max_value_bytes")}
        self._room.kernel.execute(self, {"id": self._id, **limits, **program.fields}, program.content)

    def _interrupt(self) -> None:
        """SIGINT now and, for code that swallowed it, once more halfway to the end of the grace."""
        half = self._limits.grace_ms // 2

        def again() -> None:
            self._room.kernel.interrupt()
            self._set_timer(self._limits.grace_ms - half, self._kill_after_grace)

        self._room.kernel.interrupt()
        self._set_timer(half, again)

    def _kill_after_grace(self) -> None:
        self._lose_state(self._cause or "interrupted")

    def _lose_state(self, cause: str) -> None:
        self._room.kernel.drain()
        self._room.kernel.replace()
        self._state_lost = True
        self._cause = cause
        self._notices.stopped(self._cause, self._state_lost)
        self._finish(cause)

    def _run_out_of_memory(self) -> None:
        # First of all: it may be a matter of milliseconds until the host ends the sandbox.
        self._room.kernel.kill_now()
        self._notices.out_of_memory(self._room.watch.limit)
        self._state_lost = True
        self._room.kernel.drain()
        self._room.kernel.replace()
        self._room.empty_scratch()
        self._finish("out_of_memory")

    def _finish(self, status: str) -> None:
        """Everything that user code did is known; the files remain to be looked at."""
        self._state = "scanning"
        self._status = status
        self._ended = time.monotonic()
        if self._timer is not None:
            self._timer.cancel()
        self._room.entries.end()
        self._report.begin()
        # While the scanner works:
        self._room.watch.end(self._ended - self._begun)
        for stream, decoder in self._decoders.items():
            self._log.add(stream, decoder.text(b"", final=True), 0)
        self._log.finish()
        self._notices.cuts(self._log, self._images)
        self._notices.value(self._value)
        self._notices.children_killed(self._room.pressure.take(), self._room.watch.limit, self._state_lost)
        self._notices.processes_left(self._room.left_processes())

    def _done(self, report: Report) -> None:
        if not report.complete:
            self._notices.too_many_files(self._room.scanner.max_files)
        for notice in self._notices.events():
            self._emit(notice)
        self._state = "over"
        self._over()
        self._emit(
            {
                "event": "done",
                "status": self._status,
                "state_lost": self._state_lost,
                "duration_ms": round((self._ended - self._begun) * 1000, 3),
                "peak_memory_bytes": self._room.watch.peak,
                "files": report.files,
                "files_truncated": not report.complete,
                **({} if report.used_bytes is None else {"used_bytes": report.used_bytes}),
            }
        )

    def _text(self, kind: str, header: Header, payload: bytes) -> bool:
        if len(payload) > _MAX_RESULT:
            return False
        cut = header.get("cut", 0)
        self._log.cut += cut if type(cut) is int and 0 < cut < 1 << 50 else 0
        self._log.add(kind, payload.decode("utf-8", "replace"), len(payload))
        return True

    def _error(self, header: Header, payload: bytes) -> bool:
        name, value = header.get("name"), header.get("value")
        self._errors += 1
        if not isinstance(name, str) or not isinstance(value, str) or self._errors > _MAX_ERRORS:
            return False
        self._log.add_error(
            {
                "event": "error",
                "name": clean(name[:256]),
                "value": clean(value[:4096]),
                "traceback": payload[:MAX_TEXT].decode("utf-8", "replace"),
            }
        )
        return True

    def _emit(self, header: Header, payload: bytes = b"") -> None:
        self._host.send({"id": self._id, **header}, payload)
        if self._host.congested and not self._paused and self._state == "running":
            self._paused = True
            self._room.kernel.pause(True)

    def _set_timer(self, milliseconds: int, callback: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._room.loop.after(milliseconds / 1000, callback)
