"""put and get: one file over a connection that the supervisor lent to this worker."""

import os
import stat
from collections.abc import Callable
from typing import Any

from . import paths, tree
from .failures import Refused, refused
from .snapshot import entry
from .tree import Signature
from .wire import HostWire

_CHUNK = 1_048_576
_ZEROS = bytes(_CHUNK)
_MOST_ZEROS = 67_108_864
"""Bytes of zeros told at once: the host shall see that there is progress."""
Request = dict[str, Any]


def get(root: str, request: Request, wire: HostWire) -> None:
    """`opened`, `data`…, `done`. Never more bytes than the file had when it was opened.

    Zeros do not travel: a sparse file can claim any size and costs its writer nothing, and gVisor
    does not tell where its holes are.
    """
    identifier = request["id"]
    most = request.get("max_bytes")
    if most is not None and (type(most) is not int or most < 0):
        raise Refused("bad_request", "max_bytes is a whole number")
    parts = paths.parse(root, request.get("path"))
    fd = tree.open_file(root, parts)
    try:
        look = tree.look(os.fstat(fd))
        size = look.signature[0]
        _require_plausible(fd, size, most)
        opened = entry(root, b"/".join(parts), look, tree.used_bytes(root))
        wire.send({"id": identifier, "event": "opened", **opened})
        _send_content(fd, size, wire, identifier)
        wire.send({"id": identifier, "event": "done", "bytes": size})
    except OSError as error:
        raise refused(error) from error
    finally:
        os.close(fd)


def _require_plausible(fd: int, size: int, most: int | None) -> None:
    if most is not None and size > most:
        raise Refused("too_large", f"the file has {size:,} bytes; at most {most:,} are wanted")
    disk = os.fstatvfs(fd)
    if size > disk.f_blocks * disk.f_frsize:
        raise Refused("too_large", "the file claims more bytes than its disk has")


def _send_content(fd: int, size: int, wire: HostWire, identifier: int) -> None:
    data = bytearray(min(_CHUNK, size))
    buffer = memoryview(data)
    left, zeros = size, 0
    while left:
        count = os.readv(fd, [buffer[: min(left, _CHUNK)]])
        if count == 0:
            raise Refused("changed", "the file became shorter while it was read")
        left -= count
        empty = _is_zeros(data, count)
        zeros += count if empty else 0
        if zeros and (not empty or not left or zeros >= _MOST_ZEROS):
            wire.send({"id": identifier, "event": "data", "zeros": zeros})
            zeros = 0
        if not empty:
            wire.send({"id": identifier, "event": "data"}, buffer[:count])


def _is_zeros(data: bytearray, count: int) -> bool:
    """Whether the first `count` bytes are; compared as a whole, which costs next to nothing."""
    if count == len(_ZEROS):
        return data == _ZEROS
    return data[:count] == _ZEROS[:count]


class Upload:
    """A file under a hidden temporary name until `finish`."""

    def __init__(self, directory: int, name: bytes) -> None:
        self._directory = directory
        self._name = name
        self._temporary = paths.UPLOAD_PREFIX + os.urandom(8).hex().encode()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(self._temporary, flags, 0o644, dir_fd=directory)

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def finish(self) -> Signature:
        """Gives the file its name; returns what it looks like then."""
        os.rename(self._temporary, self._name, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        named = os.stat(self._name, dir_fd=self._directory, follow_symlinks=False)
        status = os.fstat(self._fd)
        if named.st_ino != status.st_ino:
            raise Refused("changed", "the file was replaced while it was stored")
        return tree.signature(status)

    def close(self) -> None:
        """After success the temporary name is gone already."""
        os.close(self._fd)
        try:
            os.unlink(self._temporary, dir_fd=self._directory)
        except OSError:
            pass


def put(root: str, request: Request, wire: HostWire, stored: Callable[[bytes, Signature], None]) -> None:
    """`ready`, then `data`… and `end` or `abort` from the host, `done`.

    `stored` is told before the host is, so that no scan can take the file for a change by user code.
    """
    identifier = request["id"]
    parts = paths.parse(root, request.get("path"))
    with tree.parent(root, parts, create=True) as directory:
        _require_free_name(directory, parts[-1])
        upload = Upload(directory, parts[-1])
        try:
            wire.send({"id": identifier, "event": "ready"})
            if not _receive_into(upload, wire, identifier):
                raise Refused("aborted", "the host gave the upload up")
            signature = upload.finish()
        finally:
            upload.close()
    path = b"/".join(parts)
    stored(path, signature)
    done = {
        "path": request["path"],
        "bytes": signature[0],
        "mtime_ms": signature[1] // 1_000_000,
        "stamp": tree.stamp(signature),
    }
    wire.send({"id": identifier, "event": "done", **done})


def _require_free_name(directory: int, name: bytes) -> None:
    """Says so before the bytes travel; the rename at the end decides."""
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISLNK(status.st_mode):
        # A link is replaced like a file; nothing is written where it points.
        tree.require_regular(status)


def _receive_into(upload: Upload, wire: HostWire, identifier: int) -> bool:
    while True:
        header, payload = wire.receive()
        if header.get("id") != identifier:
            raise Refused("bad_request", "another request came before the end of this upload")
        match header.get("op"):
            case "data":
                upload.write(payload)
            case "end":
                return True
            case "abort":
                return False
            case _:
                raise Refused("bad_request", "an upload is followed by data, end or abort")
