"""put and get: one file over a connection that the supervisor lent to this worker."""

import os
import stat
from collections.abc import Callable
from typing import Any

from . import paths, tree
from .failures import Refused, refused
from .tree import Signature
from .wire import HostWire

_CHUNK = 1_048_576
Request = dict[str, Any]


def get(root: str, request: Request, wire: HostWire) -> None:
    """`opened`, `data`…, `done`. Never more bytes than the file had when it was opened."""
    identifier = request["id"]
    fd = tree.open_file(root, paths.parse(root, request.get("path")))
    try:
        size = os.fstat(fd).st_size
        _require_plausible(fd, size)
        wire.send({"id": identifier, "event": "opened", "bytes": size})
        buffer = memoryview(bytearray(min(_CHUNK, size)))
        left = size
        while left:
            count = os.readv(fd, [buffer[: min(left, _CHUNK)]])
            if count == 0:
                raise Refused("changed", "the file became shorter while it was read")
            wire.send({"id": identifier, "event": "data"}, buffer[:count])
            left -= count
        wire.send({"id": identifier, "event": "done", "bytes": size})
    except OSError as error:
        raise refused(error) from error
    finally:
        os.close(fd)


def _require_plausible(fd: int, size: int) -> None:
    """A sparse file can claim any size and costs its writer nothing."""
    disk = os.fstatvfs(fd)
    if size > disk.f_blocks * disk.f_frsize:
        raise Refused("too_large", "the file claims more bytes than its disk has")


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

    def finish(self, replace: bool) -> Signature:
        """Gives the file its name; returns what it looks like then."""
        where = {"src_dir_fd": self._directory, "dst_dir_fd": self._directory}
        if replace:
            os.rename(self._temporary, self._name, **where)
        else:
            os.link(self._temporary, self._name, follow_symlinks=False, **where)
            os.unlink(self._temporary, dir_fd=self._directory)
        named = os.stat(self._name, dir_fd=self._directory, follow_symlinks=False)
        status = os.fstat(self._fd)
        if named.st_ino != status.st_ino:
            raise Refused("internal", "the file was replaced while it was stored")
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
    mode = request.get("mode", "replace")
    if mode not in ("replace", "create"):
        raise Refused("bad_request", "mode is replace or create")
    parts = paths.parse(root, request.get("path"))
    with tree.parent(root, parts, create=True) as directory:
        _require_free_name(directory, parts[-1], mode == "replace")
        upload = Upload(directory, parts[-1])
        try:
            wire.send({"id": identifier, "event": "ready"})
            if not _receive_into(upload, wire, identifier):
                raise Refused("aborted", "the host gave the upload up")
            signature = upload.finish(mode == "replace")
        finally:
            upload.close()
    path = b"/".join(parts)
    stored(path, signature)
    done = {"path": request["path"], "bytes": signature[0], "mtime_ms": signature[1] // 1_000_000}
    wire.send({"id": identifier, "event": "done", **done})


def _require_free_name(directory: int, name: bytes, replace: bool) -> None:
    """Says so before the bytes travel; the rename or link at the end decides."""
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not replace:
        raise Refused("exists", "there is a file of this name already")
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
