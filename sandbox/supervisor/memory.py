"""How much memory the guest uses. Sampled by the watch during executions; a sample costs 0.1 ms or less."""

import os

from . import processes

_PAGE = os.sysconf("SC_PAGE_SIZE")
_GIB = 1 << 30


class Meter:
    """Used bytes.

    Under gVisor /proc/meminfo is the sandbox's own: AnonPages counts anonymous memory and memory
    file systems of all processes, once each; the data disk and mapped libraries are not in it. Where it is the host's (MemTotal
    far above the limit) the resident sets of the user's processes are added up instead.
    """

    def __init__(self, uid: int) -> None:
        self._uid = uid
        self._meminfo = os.open("/proc/meminfo", os.O_RDONLY | os.O_CLOEXEC)
        self._own = False

    def calibrate(self, limit: int) -> None:
        """Chooses the source for this limit in bytes; 0 is no limit."""
        total = self._read().get(b"MemTotal", 0)
        self._own = total <= limit * 3 // 2 + _GIB

    def used(self) -> int:
        if not self._own:
            return sum(resident(pid) for pid in processes.of_user(self._uid))
        return self._read().get(b"AnonPages", 0)

    def _read(self) -> dict[bytes, int]:
        """Fields of /proc/meminfo in bytes."""
        values: dict[bytes, int] = {}
        for line in os.pread(self._meminfo, 4096, 0).splitlines():
            name, _, rest = line.partition(b":")
            words = rest.split()
            if words and words[0].isdigit():
                values[name] = int(words[0]) * 1024
        return values


def resident(pid: int) -> int:
    """Bytes of memory that a process has in use, those that it shares included; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def in_words(limit: int) -> str:
    """1073741824 -> `1 GiB (memory_limit=1g)`."""
    if limit % _GIB == 0:
        return f"{limit // _GIB} GiB (memory_limit={limit // _GIB}g)"
    return f"{limit // (1 << 20)} MiB"
