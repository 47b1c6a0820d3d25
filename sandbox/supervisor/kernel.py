"""The kernel's keeper: starts the Python process of user code, talks to it, ends it, starts the next.

One keeper lives as long as the supervisor; `_Process` is one kernel process. What arrives from the
kernel is data: an unknown or misshaped message counts as its death.
"""

import enum
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from . import processes, programs
from .environment import kernel_environment
from .faults import report
from .forking import kill_all_of_user, start_kernel
from .frames import Header
from .loop import Loop, Timer
from .options import Options
from .pipes import OutputPipe
from .stream import FrameStream

MAX_FAILED_STARTS = 3
"""Kernels in a row that never got ready, after which only a new request tries again."""
_CONFIGURE_SECONDS = 25.0
"""A warm-up takes half a second, and more on a busy machine."""
_REAP_SECONDS = 0.1


class Way(enum.Enum):
    """How a kernel ended, as far as it matters."""

    EXIT = "it ended itself"
    SIGNAL = "a signal ended it"
    MAYBE_KILLED_BY_HOST = "as processes end that the host's out-of-memory killer takes"
    PROTOCOL = "it broke its connection to the sandbox"


@dataclass(frozen=True)
class End:
    way: Way
    words: str
    """For people: `exit code 3`."""


class KernelUser(Protocol):
    """The execution that runs at the moment."""

    def on_message(self, header: Header, payload: bytes) -> bool:
        """False if the message is not one that a kernel sends."""

    def on_output(self, stream: str, data: bytes) -> None: ...

    def on_death(self, end: "End") -> None:
        """The kernel ended by itself or broke the protocol. The keeper starts another."""


class _Process:
    """One kernel with its channel and pipes."""

    def __init__(self, keeper: "KernelKeeper", loop: Loop, options: Options, environment: dict[str, str]) -> None:
        ends = start_kernel(options, environment)
        self.pid = ends.pid
        self.end: End | None = None
        """How it ended, once it was reaped."""
        self.stdout = OutputPipe(loop, ends.stdout, lambda data: keeper.output(self, "stdout", data))
        self.stderr = OutputPipe(loop, ends.stderr, lambda data: keeper.output(self, "stderr", data))
        self.channel = FrameStream(
            loop,
            ends.channel,
            lambda header, payload: keeper.message(self, header, payload),
            lambda reason: keeper.channel_closed(self, reason),
            # What was printed before a message was sent comes before it.
            before_frames=self.drain,
        )

    def drain(self) -> None:
        self.stdout.drain()
        self.stderr.drain()

    def pause(self, paused: bool) -> None:
        self.stdout.pause(paused)
        self.stderr.pause(paused)
        if paused:
            self.channel.pause()
        else:
            self.channel.resume()

    def close(self) -> None:
        self.stdout.close()
        self.stderr.close()
        self.channel.close("replaced")


class KernelKeeper:
    """State: starting -> ready <-> busy, or dead after several starts failed."""

    def __init__(self, loop: Loop, options: Options) -> None:
        self._loop = loop
        self._options = options
        self._waiting: list[Callable[[bool], None]] = []
        self._configuring: Callable[[bool], None] | None = None
        self._failed_starts = 0
        self._user: KernelUser | None = None
        self._timer: Timer | None = None
        self._process: _Process | None = None
        self.state = "dead"
        self.lost = False
        """A kernel with variables died while nobody ran code."""
        self._used = False

    def start(self) -> None:
        environment = kernel_environment(self._options.data)
        self.state = "starting"
        self._used = False
        try:
            self._process = _Process(self, self._loop, self._options, environment)
        except OSError as error:
            report(f"cannot start a kernel: {error}")
            self._process = None
            self._start_failed()
            return
        self._set_timer(self._options.start_timeout_ms / 1000, self._start_timed_out)

    def when_ready(self, callback: Callable[[bool], None]) -> None:
        """Calls back with True as soon as the kernel can take code, or with False if it cannot start."""
        if self.state in ("ready", "busy"):
            callback(True)
            return
        self._waiting.append(callback)
        if self.state == "dead":
            self._failed_starts = 0
            self.start()

    def execute(self, user: KernelUser, header: Header, code: bytes) -> None:
        assert self._process is not None
        # What leftover processes printed in between belongs to no execution.
        self._process.drain()
        self.state = "busy"
        self._used = True
        self._user = user
        *earlier, last = programs.pieces(code)
        for piece in earlier:
            self._process.channel.send({"t": "code"}, piece)
        self._process.channel.send({"t": "execute", **header}, last)

    def finished(self) -> None:
        """The execution is over and the kernel still there."""
        self._user = None
        if self.state == "busy":
            self.state = "ready"
        self.pause(False)

    def drain(self) -> None:
        if self._process is not None:
            self._process.drain()

    def acknowledge(self) -> None:
        if self._process is not None:
            self._process.channel.send({"t": "seen"})

    def pause(self, paused: bool) -> None:
        """While the host reads too slowly, the kernel shall wait."""
        if self._process is not None:
            self._process.pause(paused)

    def gather_output(self) -> None:
        """From now on small pieces of output may come late, together."""
        if self._process is not None:
            self._process.stdout.busy = self._process.stderr.busy = True

    def interrupt(self) -> None:
        if self._process is not None:
            processes.send_group(self._process.pid, signal.SIGCONT)
            processes.send_group(self._process.pid, signal.SIGINT)

    def kill_now(self) -> None:
        """The kernel and its children, but for those that left its group, in one call; `replace` has to follow."""
        if self._process is not None:
            processes.send_group(self._process.pid, signal.SIGKILL)

    def replace(self) -> None:
        """Ends every process of user code and starts afresh. The user is not told: it asked for this."""
        self._user = None
        self._end_process()
        self.lost = False
        self._failed_starts = 0
        self.start()

    def end(self) -> None:
        """For good."""
        self._user = None
        self._end_process()
        self.state = "dead"

    def configure(self, warm_up: bool, done: Callable[[bool], None]) -> None:
        """Reseeds, and runs what users run first if `warm_up`, which forgets all variables. Needs a kernel that is ready."""
        assert self._process is not None
        self._configuring = done
        self._process.channel.send({"t": "configure", "warm_up": warm_up})
        self._set_timer(_CONFIGURE_SECONDS, self._configure_timed_out)

    @property
    def used(self) -> bool:
        """Whether it has run code of a user."""
        return self._used

    @property
    def pid(self) -> int:
        """0 where there is none."""
        return 0 if self._process is None else self._process.pid

    def left_processes(self, known: set[int]) -> set[int]:
        """Processes of user code beside the kernel itself; `known` are pids that are none."""
        return set(processes.of_user(self._options.uid, known | {self.pid}))

    def end_others(self, known: set[int]) -> bool:
        """Ends every process of user code but the kernel and the `known`; False if some go on."""
        return processes.end_others(self._options.uid, known | {self.pid})

    def reaped(self, pid: int, status: int) -> None:
        process = self._process
        if process is None or process.pid != pid:
            return
        process.end = _end(status)
        self._process_gone(process)

    def output(self, process: _Process, stream: str, data: bytes) -> None:
        if process is self._process and self._user is not None:
            self._user.on_output(stream, data)

    def message(self, process: _Process, header: Header, payload: bytes) -> None:
        if process is not self._process:
            return
        if not self._accept(header, payload):
            process.channel.close("a message that no kernel sends")

    def channel_closed(self, process: _Process, reason: str) -> None:
        """Its exit status usually arrives within a moment; if not, it only closed the channel."""
        if process is not self._process:
            return

        def give_up() -> None:
            if process is self._process:
                process.end = process.end or End(Way.PROTOCOL, f"{Way.PROTOCOL.value} ({reason})")
                self._process_gone(process)

        self._loop.after(_REAP_SECONDS, give_up)

    def _accept(self, header: Header, payload: bytes) -> bool:
        match header.get("t"):
            case "ready" if self.state == "starting":
                self._become_ready()
                return True
            case "configured" if self._configuring is not None:
                self._configured(True)
                return True
            case _:
                # Outside an execution a background thread may still display something: dropped.
                return self._user is None or self._user.on_message(header, payload)

    def _become_ready(self) -> None:
        self._cancel_timer()
        self.state = "ready"
        self._failed_starts = 0
        self._tell_waiting(True)

    def _tell_waiting(self, ready: bool) -> None:
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback(ready)

    def _process_gone(self, process: _Process) -> None:
        process.drain()
        process.channel.drain()
        if self._process is not process:
            return
        starting, user, used = self.state == "starting", self._user, self._used
        self._user = None
        self._end_process()
        if self._configuring is not None:
            self._configured(False)
        if starting:
            report(f"a kernel ended before it was ready: {process.end}")
            self._start_failed()
            return
        if user is not None:
            user.on_death(process.end or End(Way.EXIT, "for no known reason"))
        else:
            self.lost = self.lost or used
        if self._process is None:
            self.start()

    def _start_failed(self) -> None:
        self._failed_starts += 1
        if self._failed_starts < MAX_FAILED_STARTS:
            self._loop.after(0.2 * self._failed_starts, self.start)
            return
        self.state = "dead"
        self._tell_waiting(False)

    def _start_timed_out(self) -> None:
        report("a kernel was not ready in time")
        self._end_process()
        self._start_failed()

    def _configured(self, done: bool) -> None:
        self._cancel_timer()
        callback, self._configuring = self._configuring, None
        if callback is not None:
            callback(done)

    def _configure_timed_out(self) -> None:
        report("a kernel did not answer configure; it is replaced")
        callback, self._configuring = self._configuring, None
        self.replace()
        # The new kernel starts with seeds of its own.
        if callback is not None:
            self.when_ready(callback)

    def _end_process(self) -> None:
        self._cancel_timer()
        process, self._process = self._process, None
        if process is not None:
            processes.send_group(process.pid, signal.SIGKILL)
        kill_all_of_user(self._options)
        if not processes.kill_all(self._options.uid):
            report("some processes of user code could not be killed")
        if process is not None:
            process.close()

    def _set_timer(self, seconds: float, callback: Callable[[], None]) -> None:
        self._cancel_timer()
        self._timer = self._loop.after(seconds, callback)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _end(status: int) -> End:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        way = Way.MAYBE_KILLED_BY_HOST if number == signal.SIGKILL else Way.SIGNAL
        return End(way, f"signal {number}, {signal.strsignal(number) or 'unknown'}")
    code = os.waitstatus_to_exitcode(status)
    # gVisor's own process for the guest's is what the host kills; the guest sees this.
    return End(Way.MAYBE_KILLED_BY_HOST if code == 1 else Way.EXIT, f"exit code {code}")
