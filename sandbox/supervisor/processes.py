"""The processes of user code: finding and ending them. Called by the kernel's keeper."""

import os
import signal
import time
from collections.abc import Collection, Iterator
from typing import Literal

_KILL_SECONDS = 5.0
_END_SECONDS = 0.5


def of_user(uid: int, known: Collection[int] = ()) -> Iterator[int]:
    """Pids whose real uid is `uid` and that still run, without the `known`. File workers have real uid 0.

    The owner of /proc/<pid> would not do: a process can hide behind PR_SET_DUMPABLE.
    """
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) not in known and _runs_as(int(name), uid):
            yield int(name)


def _runs_as(pid: int, uid: int) -> bool:
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            status = file.read(4096)
    except OSError:
        return False
    fields = dict(line.split(b":", 1) for line in status.splitlines() if b":" in line)
    real = fields.get(b"Uid", b"-1").split()[0]
    state = fields.get(b"State", b"").strip()
    return int(real) == uid and not state.startswith((b"Z", b"X"))


def send(pid: int, number: signal.Signals | Literal[0]) -> None:
    """Number 0 only asks whether it could be sent."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def send_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        send(pid, number)


def end_others(uid: int, known: Collection[int]) -> bool:
    """SIGKILL to everything of `uid` but the `known`; False if some go on, as a fork bomb may.

    None is stopped first: gVisor (20240729) sends SIGHUP to the whole group of a stopped process that ends, the
    kernel among them.
    """
    deadline = time.monotonic() + _END_SECONDS
    while found := list(of_user(uid, known)):
        if time.monotonic() > deadline:
            return False
        for pid in found:
            send(pid, signal.SIGKILL)
        time.sleep(0.001)
    return True


def kill_all(uid: int) -> bool:
    """SIGKILL to everything of `uid`, also against a fork bomb; True when nothing is left.

    Stopped processes cannot fork and still count against RLIMIT_NPROC, so all are stopped
    first, until a walk finds none that is new, and then killed.
    """
    deadline = time.monotonic() + _KILL_SECONDS
    while time.monotonic() < deadline:
        stopped: set[int] = set()
        while fresh := [pid for pid in of_user(uid) if pid not in stopped]:
            for pid in fresh:
                send(pid, signal.SIGSTOP)
            stopped.update(fresh)
            if time.monotonic() > deadline:
                break
        if not stopped:
            return True
        for pid in stopped:
            send(pid, signal.SIGKILL)
        time.sleep(0.001)
    return False
