"""What gives way when memory runs out: processes that the code has started first, Python itself last."""

import signal
import time
from collections.abc import Mapping

from . import processes
from .memory import resident

_PATIENCE = 2.0
"""Seconds in which the memory of killed processes may come back, as long as no other takes its place."""
_GROWTH = 33_554_432
"""Bytes; more than that since the last kill is somebody else's doing."""


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

    def __init__(self, uid: int) -> None:
        self._uid = uid
        self._wait_until = 0.0
        self._ceiling = 0
        self.killed = 0
        """Processes since `take`."""
        self.dying: set[int] = set()
        """Pids of the last victims, which may be seen a little longer."""

    def take(self) -> int:
        killed, self.killed = self.killed, 0
        return killed

    def relieve(self, kernel: int, used: int) -> bool:
        """True if something was killed, or its memory still comes back. `kernel` is its pid, `used` in bytes."""
        now = time.monotonic()
        if now < self._wait_until and used <= self._ceiling:
            return True
        children = {pid: resident(pid) for pid in processes.of_user(self._uid, {kernel})}
        victims = choose(resident(kernel), children)
        for pid in victims:
            processes.send(pid, signal.SIGKILL)
        self._wait_until = now + _PATIENCE if victims else 0.0
        self._ceiling = used + _GROWTH
        self.killed += len(victims)
        self.dying = set(victims) | (self.dying if victims else set())
        return bool(victims)
