"""What gives way when memory runs out: processes that the code has started first, Python itself last."""

import signal
from collections.abc import Mapping

from . import processes
from .memory import resident

_PATIENCE = 10
"""Looks, at least 4 ms apart, in which the memory of killed processes may come back."""


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
        self._dying: set[int] = set()
        self._looks = 0
        self.killed = 0
        """Processes since `take`."""

    def take(self) -> int:
        killed, self.killed = self.killed, 0
        return killed

    def relieve(self, kernel: int) -> bool:
        """True if something was killed, or still dies. `kernel` is its pid."""
        alive = set(processes.of_user(self._uid))
        self._dying &= alive
        self._looks += 1
        if self._dying and self._looks < _PATIENCE:
            return True
        children = {pid: resident(pid) for pid in alive - {kernel} - self._dying}
        victims = choose(resident(kernel), children)
        for pid in victims:
            processes.send(pid, signal.SIGKILL)
        self._dying.update(victims)
        self._looks = 0
        self.killed += len(victims)
        return bool(victims)
