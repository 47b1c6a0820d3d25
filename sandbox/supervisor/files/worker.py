"""The loop of a file worker process. Forked by ../workers.py, which sends it one job at a time.

A job is a frame from the supervisor: the host's request and, for a transfer, the host's connection
as a descriptor beside it and the bytes already read from it as payload. The answer is a frame too.
"""

import array
import os
import shutil
import socket
from typing import Any

from ..frames import Decoder, Header, pack
from . import paths, transfers, tree
from .failures import Refused
from .snapshot import Snapshot, entry, fitting
from .wire import HostGone, HostWire


class Worker:
    def __init__(self, channel: socket.socket, root: str) -> None:
        self._channel = channel
        self._root = root
        self._snapshot = Snapshot(root)
        self._used = 0
        self._decoder = Decoder()
        self._fds: list[int] = []

    def run(self) -> None:
        """Until the supervisor is gone."""
        while True:
            while (frame := self._decoder.next()) is not None:
                self._job(*frame)
            data, ancillary, _flags, _address = self._channel.recvmsg(262_144, socket.CMSG_SPACE(16))
            if not data:
                return
            for _level, _kind, content in ancillary:
                fds = array.array("i")
                fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
                self._fds.extend(fds)
            self._decoder.feed(data)

    def _job(self, request: Header, payload: bytes) -> None:
        if request["op"] in ("put", "get"):
            with socket.socket(fileno=self._fds.pop(0)) as sock:
                self._transfer(request, HostWire(sock, payload))
        elif request["op"] == "note":
            self._snapshot.note(_bytes(request["path"]), _signature(request))
        else:
            self._answer(self._result_of(request))

    def _answer(self, header: Header, payload: bytes = b"") -> None:
        self._channel.sendall(pack(header, payload))

    def _result_of(self, request: Header) -> Header:
        try:
            return {"id": request.get("id"), "event": "done", **self._plain(request)}
        except Refused as error:
            return _failure(request, error)
        except OSError as error:
            return _failure(request, Refused("internal", f"file system: {error.strerror}"))

    def _plain(self, request: Header) -> Header:
        match request["op"]:
            case "list":
                return self._list(request)
            case "remove":
                return self._remove(request)
            case "scan":
                walk = self._snapshot.scan(request["max_files"])
                self._used = tree.used_bytes(self._root)
                page = self._no_page() if request.get("keep") else self._page()
                return {**page, "complete": walk.complete, "count": walk.entries}
            case "page":
                return self._page()
            case "count":
                return {"count": tree.count(request["directories"], request["limit"])}
            case "empty":
                empty_directories(request["directories"])
                return {}
        raise Refused("bad_request", f"unknown op {request['op']!r}")

    def _list(self, request: Header) -> Header:
        after, limit = request.get("after"), request.get("limit", 10_000)
        if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= 10_000:
            raise Refused("bad_request", "limit is a number from 1 to 10000")
        if after is not None and not isinstance(after, str):
            raise Refused("bad_request", "after is a path")
        walk = tree.Walk(self._root, request["max_files"]).run()
        used = tree.used_bytes(self._root)
        found = sorted((paths.to_text(path), path) for path in walk.files)
        if after is not None:
            found = [item for item in found if f"{self._root}/{item[0]}" > after]
        page = fitting([entry(self._root, path, walk.files[path], used) for _text, path in found[:limit]])
        truncated = len(page) < len(found)
        return {"entries": page, "truncated": truncated, "complete": walk.complete, "used_bytes": used}

    def _page(self) -> Header:
        files = self._snapshot.page()
        return {"files": files, "more": self._snapshot.more, "used_bytes": self._used}

    def _no_page(self) -> Header:
        """Nobody is told of the changes yet; they are part of the next scan."""
        return {"files": [], "more": self._snapshot.more, "used_bytes": self._used}

    def _remove(self, request: Header) -> Header:
        parts = paths.parse(self._root, request.get("path"))
        with tree.parent(self._root, parts) as directory:
            tree.require_regular(os.stat(parts[-1], dir_fd=directory, follow_symlinks=False))
            os.unlink(parts[-1], dir_fd=directory)
        return {"path": request["path"]}

    def _transfer(self, request: Header, wire: HostWire) -> None:
        def tell(path: bytes, signature: tree.Signature) -> None:
            self._answer({"event": "stored", "path": paths.to_text(path), "signature": signature})

        try:
            try:
                if request["op"] == "put":
                    transfers.put(self._root, request, wire, tell)
                else:
                    transfers.get(self._root, request, wire)
            except Refused as error:
                wire.send(_failure(request, error))
            except OSError as error:
                wire.send(_failure(request, Refused("internal", f"file system: {error.strerror}")))
        except HostGone:
            pass  # The supervisor reads the end of the connection itself.
        self._answer({"event": "returned"}, wire.rest())


def empty_directories(directories: list[str]) -> None:
    """Removes what user code left in the memory file systems. rmtree follows no link."""
    for directory in directories:
        try:
            with os.scandir(directory) as entries:
                found = list(entries)
        except OSError:
            continue
        for item in found:
            if item.is_dir(follow_symlinks=False):
                shutil.rmtree(item.path, ignore_errors=True)
            else:
                _unlink_quietly(item.path)


def _unlink_quietly(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


def _failure(request: Header, error: Refused) -> Header:
    return {"id": request.get("id"), "event": "failed", "code": error.code, "message": error.message}


def _bytes(path: Any) -> bytes:
    return str(path).encode("utf-8", "surrogateescape")


def _signature(request: Header) -> tree.Signature | None:
    values = request.get("signature")
    return None if values is None else (values[0], values[1], values[2], values[3])
