"""Making child processes out of the supervisor: file workers (fork) and the kernel (fork and exec)."""

import contextlib
import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from . import privileges
from .files.worker import Worker
from .options import Options

_SIGNALLER_SECONDS = 20.0
CHANNEL_FD = 3
"""Where the kernel finds its channel; it moves it out of the way at once."""


def _child(work: Callable[[], None]) -> int:
    """Forks; the child does `work` and ends. Returns the child's pid."""
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        work()
    except BaseException as error:
        os.write(2, f"child failed: {type(error).__name__}: {error}\n".encode())
        os._exit(70)
    os._exit(0)


def fork_file_worker(options: Options) -> tuple[int, socket.socket]:
    """Pid and our end of the channel."""
    ours, theirs = socket.socketpair()

    def work() -> None:
        channel = theirs.detach()
        _close_all_but({0, 1, 2, channel})
        privileges.become_file_worker(options.uid, options.gid)
        with contextlib.suppress(ConnectionError):  # The supervisor has ended.
            Worker(socket.socket(fileno=channel), options.data).run()

    pid = _child(work)
    theirs.close()
    return pid, ours


def kill_all_of_user(options: Options) -> None:
    """SIGKILL to every process of user code in one call, which no number of them can outrun.

    With a hundred that compute, each call of ours waits its turn. Nothing is certain after that: what takes longer
    than `_SIGNALLER_SECONDS` is given up, and the caller looks at what is left. It waits for us meanwhile.
    """
    try:
        pid = os.fork()
    except OSError:
        return
    if pid == 0:
        # Every page that this touches waits for its turn as well, so it does no more than it must.
        try:
            signal.set_wakeup_fd(-1)
            # The effective uid may signal user code; the others, which are nobody's, keep user code from signalling
            # this process, and the file workers out of it, whose real uid is 0.
            nobody = options.uid + 1
            os.setresuid(nobody, options.uid, nobody)
            os.kill(-1, signal.SIGKILL)
        finally:
            os._exit(0)
    deadline = time.monotonic() + _SIGNALLER_SECONDS
    try:
        while os.waitpid(pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                break
            time.sleep(0.001)
    except (ChildProcessError, ProcessLookupError):
        pass


def _close_all_but(kept: set[int]) -> None:
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            try:
                os.close(int(name))
            except OSError:
                pass  # The listing's own descriptor.


@dataclass(frozen=True)
class KernelEnds:
    """A running kernel as the supervisor holds it."""

    pid: int
    channel: socket.socket
    stdout: int
    stderr: int


def start_kernel(options: Options, environment: dict[str, str]) -> KernelEnds:
    ours, theirs = socket.socketpair()
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()

    def work() -> None:
        os.setsid()
        null = os.open("/dev/null", os.O_RDONLY)
        _place({0: null, 1: out_write, 2: err_write, CHANNEL_FD: theirs.fileno()})
        privileges.become_user(options.uid, options.gid, options.max_processes, options.max_open_files)
        os.chdir(options.data)
        # -P: the working directory and the script's are no places to import from; -s: nor is $HOME.
        os.execve(options.python, [options.python, "-P", "-s", options.kernel, options.preload], environment)

    pid = _child(work)
    theirs.close()
    os.close(out_write)
    os.close(err_write)
    os.set_blocking(out_read, False)
    os.set_blocking(err_read, False)
    return KernelEnds(pid, ours, out_read, err_read)


def _place(wanted: dict[int, int]) -> None:
    """Gives descriptors their numbers for exec, whatever numbers they have now."""
    aside = {number: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 64) for number, fd in wanted.items()}
    for number, fd in aside.items():
        os.dup2(fd, number, inheritable=True)
