"""Reaching and walking files below a root without following any symbolic link.

Directories are opened part by part, each relative to the one before, so user code that swaps a directory for a link
in between gains nothing. Used by a file worker, and for a glance by the supervisor.
"""

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from . import paths
from .failures import Refused, refused

# O_NONBLOCK: opening a FIFO returns at once. No O_DIRECTORY: together with it, gVisor (20240729) does not
# heed O_NOFOLLOW and follows the link.
_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


def open_directory(name: bytes | str, directory: int | None = None) -> int:
    """Descriptor of a directory that is no link to one."""
    fd = os.open(name, _OPEN, dir_fd=directory)
    if not stat.S_ISDIR(os.fstat(fd).st_mode):
        os.close(fd)
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    return fd


@contextmanager
def parent(root: str, parts: list[bytes], create: bool = False) -> Iterator[int]:
    """Descriptor of the directory that holds the last part; makes missing ones if `create`."""
    fd = open_directory(root)
    try:
        for part in parts[:-1]:
            if create:
                _make_directory(fd, part)
            child = open_directory(part, fd)
            os.close(fd)
            fd = child
        yield fd
    except OSError as error:
        raise refused(error) from error
    finally:
        os.close(fd)


def _make_directory(fd: int, name: bytes) -> None:
    try:
        os.mkdir(name, 0o755, dir_fd=fd)
    except FileExistsError:
        pass


def open_file(root: str, parts: list[bytes]) -> int:
    """Descriptor of a regular file, open for reading."""
    with parent(root, parts) as directory:
        require_regular(os.stat(parts[-1], dir_fd=directory, follow_symlinks=False))
        fd = os.open(parts[-1], _OPEN, dir_fd=directory)
    try:
        require_regular(os.fstat(fd))
    except BaseException:
        os.close(fd)
        raise
    return fd


def require_regular(status: os.stat_result) -> os.stat_result:
    if stat.S_ISREG(status.st_mode):
        return status
    kinds = {stat.S_IFDIR: "a directory", stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a FIFO"}
    kind = kinds.get(stat.S_IFMT(status.st_mode), "a socket or a device")
    raise Refused("not_a_file", f"it is {kind}")


Signature = tuple[int, int, int, int]
"""Size in bytes, mtime and ctime in nanoseconds, inode. User code cannot set ctime."""


class Look(NamedTuple):
    """What is known of a file after a look at it."""

    signature: Signature
    links: int
    """Names that it has."""


def signature(status: os.stat_result) -> Signature:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def stamp(signature: Signature) -> str:
    """Differs whenever a file was changed or replaced, whatever its time of modification claims."""
    _size, _mtime, ctime, inode = signature
    return f"{ctime:x}.{inode:x}"


def look(status: os.stat_result) -> Look:
    return Look(signature(status), status.st_nlink)


def used_bytes(root: str) -> int:
    """What the disk below `root` has in use. gVisor tells the truth here, though not in `st_blocks`."""
    disk = os.statvfs(root)
    return (disk.f_blocks - disk.f_bfree) * disk.f_frsize


def count(roots: Iterable[str], limit: int) -> int:
    """Directory entries below the roots, hidden ones too; stops looking at `limit`."""
    found = 0
    waiting = list(roots)
    while waiting and found < limit:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    found += 1
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    if found >= limit:
                        break
        except OSError:
            pass
    return found


class Walk:
    """All regular files below a root, at most `limit` directory entries.

    After `run()`: `files` maps relative path to what was seen; `complete` is False if the limit, the
    depth or the length of a path cut something.
    """

    def __init__(self, root: str, limit: int) -> None:
        self._root = root
        self._limit = self._left = limit
        self.files: dict[bytes, Look] = {}
        self.complete = True

    @property
    def entries(self) -> int:
        """Directory entries that were looked at."""
        return self._limit - self._left

    def run(self) -> "Walk":
        self._directory(open_directory(self._root), b"", 1)
        return self

    def _directory(self, fd: int, prefix: bytes, depth: int) -> None:
        directories: list[bytes] = []
        try:
            with os.scandir(fd) as entries:
                for entry in entries:
                    # A scan of a descriptor yields text.
                    name = os.fsencode(entry.name)
                    if self._left <= 0:
                        self.complete = False
                        return
                    self._left -= 1
                    if not paths.hidden(name):
                        self._entry(entry, prefix + name, directories)
            for name in directories:
                self._enter(fd, name, prefix, depth)
        except OSError:
            # Removed or closed off by user code meanwhile: it holds nothing that could be read.
            pass
        finally:
            os.close(fd)

    def _entry(self, entry: "os.DirEntry[str]", path: bytes, directories: list[bytes]) -> None:
        try:
            if entry.is_dir(follow_symlinks=False):
                directories.append(path)
            elif entry.is_file(follow_symlinks=False):
                if len(path) > paths.MAX_PATH:
                    self.complete = False
                else:
                    self.files[path] = look(entry.stat(follow_symlinks=False))
        except OSError:
            pass

    def _enter(self, fd: int, path: bytes, prefix: bytes, depth: int) -> None:
        if depth >= paths.MAX_DEPTH or len(path) >= paths.MAX_PATH:
            self.complete = False
            return
        try:
            child = open_directory(path[len(prefix) :], fd)
        except OSError:
            return
        self._directory(child, path + b"/", depth + 1)
