"""What changed below the root since the last report. State of the scanner, one process of its own."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..frames import MAX_HEADER, encode_header
from . import paths, tree
from .tree import Look, Signature, Walk

MAX_REPORT = MAX_HEADER - 16_384
"""Bytes of JSON for a list of files, so that a frame can hold it."""
Entry = dict[str, Any]


def entry(root: str, path: bytes, look: Look, used: int) -> Entry:
    """A file as the protocol names it. `used`: bytes that the whole disk has in use."""
    size, mtime, _ctime, inode = look.signature
    found: Entry = {
        "path": f"{root}/{paths.to_text(path)}",
        "bytes": size,
        "mtime_ms": mtime // 1_000_000,
        "stamp": tree.stamp(look.signature),
    }
    if size > used:
        found["stored_bytes"] = used
    if look.links > 1:
        found["identity"] = str(inode)
    return found


def fitting(items: list[Entry]) -> list[Entry]:
    """As many of the items, from the first on, as one frame can hold."""
    used = 0
    for index, item in enumerate(items):
        used += len(encode_header(item)) + 1
        if used > MAX_REPORT:
            return items[:index]
    return items


class Change(NamedTuple):
    path: bytes
    signature: Signature | None
    """None: it is gone."""
    entry: Entry


class Snapshot:
    """Knows each file as it was when it was last reported."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._known: dict[bytes, Signature] = {}
        self._pending: list[Change] = []

    def note(self, path: bytes, signature: Signature | None) -> None:
        """The host itself put (or, with None, removed) a file: that is no change by user code."""
        if any(paths.hidden(part) for part in path.split(b"/")):
            return
        self._remember(path, signature)
        self._pending = [change for change in self._pending if change.path != path]

    def scan(self, limit: int) -> Walk:
        """Looks for changes, which `page` then gives. What an earlier scan found and no page gave is among them."""
        walk = Walk(self._root, limit).run()
        used = tree.used_bytes(self._root)
        self._pending = sorted(self._changes(walk, used), key=lambda change: change.entry["path"])
        if not walk.complete:
            self._forget(2 * limit, walk)
        return walk

    def page(self) -> list[Entry]:
        """The next changes, in the order of their paths, as many as a frame holds; none: that was all."""
        entries = fitting([change.entry for change in self._pending[:_PAGE]])
        given, self._pending = self._pending[: len(entries)], self._pending[len(entries) :]
        for change in given:
            self._remember(change.path, change.signature)
        return entries

    @property
    def more(self) -> bool:
        return bool(self._pending)

    def _changes(self, walk: Walk, used: int) -> Iterator[Change]:
        for path, look in walk.files.items():
            known = self._known.get(path)
            if known != look.signature:
                change = "created" if known is None else "modified"
                found = entry(self._root, path, look, used)
                yield Change(path, look.signature, {**found, "change": change})
        if walk.complete:
            for path in self._known.keys() - walk.files.keys():
                name = f"{self._root}/{paths.to_text(path)}"
                yield Change(path, None, {"path": name, "bytes": 0, "mtime_ms": 0, "change": "deleted"})

    def _remember(self, path: bytes, signature: Signature | None) -> None:
        if signature is None:
            self._known.pop(path, None)
        else:
            self._known[path] = signature

    def _forget(self, limit: int, walk: Walk) -> None:
        """Where there are ever other files than the walk got to, what is remembered must not grow."""
        excess = len(self._known) - limit
        if excess > 0:
            for path in [path for path in self._known if path not in walk.files][:excess]:
                del self._known[path]


_PAGE = 20_000
"""Changes looked at for one page; the shortest have some 60 bytes, so that a frame never holds as many."""
