"""What gives way when memory runs out: processes that the code has started first, Python itself last."""

import os
import signal
import time
from collections.abc import Mapping, Sequence

from . import processes
from .memory import resident

_PATIENCE = 5.0
"""Seconds in which the memory of killed processes may come back, as long as the kernel does not take its place."""
_GROWTH = 33_554_432
"""Bytes; a kernel that has added more than that since the last kill does not wait for others' memory."""


def choose(kernel: int, children: Mapping[int, int]) -> list[int]:
    """Which of the children to kill; none: the kernel is to blame. `children`: pid to resident bytes.

    A process that is larger than the kernel dies alone. A child forked from the kernel shares its pages
    and counts as large as it is, so one that has added anything is larger. Where all are small
    but together more than the kernel, all of them die.
    """
    if not children:
        return []
    fattest = max(children, key=lambda pid: children[pid])
    if children[fattest] >= kernel:
        return [fattest]
    return list(children) if sum(children.values()) > kernel else []


class Pressure:
    """Asked at each look above the limit, whether something else than the kernel can go."""

    def __init__(self, uid: int, scratch: Sequence[str]) -> None:
        self._uid = uid
        self._scratch = scratch
        self._wait_until = 0.0
        self._own = 0
        """What the kernel and the scratch directories held at the last kill, in bytes."""
        self.killed = 0
        """Processes since `take`."""
        self.dying: set[int] = set()
        """Pids of the last victims, which may be seen a little longer."""

    def take(self) -> int:
        killed, self.killed = self.killed, 0
        return killed

    def rehearse(self, kernel: int) -> None:
        """All of `relieve` but the killing. In a sandbox that was made from an image each page of ours that is touched
        first costs a fault, and when memory runs out there is no time for hundreds of them.
        """
        pids = set(processes.of_user(self._uid, {kernel}))
        choose(resident(kernel), {pid: resident(pid) for pid in pids | {kernel}})
        sum(_held(directory) for directory in self._scratch)
        processes.send(kernel, 0)

    def relieve(self, kernel: int) -> bool:
        """True if something was killed, or its memory still comes back. `kernel` is its pid.

        A process that is told to end may add memory until it does, and gVisor counts what it held for some
        time longer. Until then the kernel is to blame only for what itself has added since.
        """
        now = time.monotonic()
        pids = set(processes.of_user(self._uid, {kernel}))
        dying = self.dying & pids if now < self._wait_until else set()
        size = resident(kernel)
        victims = choose(size, {pid: resident(pid) for pid in pids - dying})
        own = size + sum(_held(directory) for directory in self._scratch)
        if victims:
            for pid in victims:
                processes.send(pid, signal.SIGKILL)
            self._wait_until = now + _PATIENCE
            self._own = own
            self.killed += len(victims)
            self.dying = dying | set(victims)
            return True
        return now < self._wait_until and own <= self._own + _GROWTH


def _held(directory: str) -> int:
    """Bytes in a file system of memory, which are counted like those of processes; 0 for any other."""
    try:
        state = os.statvfs(directory)
    except OSError:
        return 0
    return (state.f_blocks - state.f_bfree) * state.f_frsize
