"""Whether a small tree is as it was. Most executions touch no file, and this is so cheap that the supervisor looks
itself: the file worker would have to be woken for it.
"""

import os
from typing import NamedTuple

from . import tree

_MOST_ENTRIES = 64
_DEEPEST = 4


class Seen(NamedTuple):
    """Of a file, a directory or anything else. Two that are equal stand for what has not been touched in between."""

    path: str
    mode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    links: int


def glance(root: str) -> tuple[Seen, ...] | None:
    """All that lies below the root, and the root itself; None where that is too much to be looked at in passing.

    Called by root, with user code perhaps still running: no link is followed, and nothing is told but whether two
    glances are equal.
    """
    found: list[Seen] = []
    try:
        _look(tree.open_directory(root), "", found, 1)
    except (OSError, _TooMuch):
        return None
    return tuple(sorted(found))


class _TooMuch(Exception):
    pass


def _look(fd: int, path: str, found: list[Seen], depth: int) -> None:
    """Closes the descriptor."""
    try:
        found.append(_seen(path, os.fstat(fd)))
        with os.scandir(fd) as entries:
            for entry in entries:
                if len(found) > _MOST_ENTRIES:
                    raise _TooMuch
                name = f"{path}/{entry.name}"
                if not entry.is_dir(follow_symlinks=False):
                    found.append(_seen(name, entry.stat(follow_symlinks=False)))
                elif depth < _DEEPEST:
                    _look(tree.open_directory(entry.name, fd), name, found, depth + 1)
                else:
                    raise _TooMuch
    finally:
        os.close(fd)


def _seen(path: str, status: os.stat_result) -> Seen:
    size, mtime, ctime, inode = tree.signature(status)
    return Seen(path, status.st_mode, size, mtime, ctime, inode, status.st_nlink)
