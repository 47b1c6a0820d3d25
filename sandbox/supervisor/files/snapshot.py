"""What changed below the root since the last look. State of the scanner, one process of its own."""

from collections.abc import Iterator
from typing import Any

from ..frames import MAX_HEADER
from . import paths
from .tree import Signature, Walk

MAX_REPORT = MAX_HEADER - 16_384
"""Bytes of JSON for a list of files, so that a frame can hold it."""


def entry(root: str, path: bytes, signature: Signature) -> dict[str, Any]:
    """A file as the protocol names it."""
    return {
        "path": f"{root}/{paths.to_text(path)}",
        "bytes": signature[0],
        "mtime_ms": signature[1] // 1_000_000,
    }


class Snapshot:
    def __init__(self, root: str) -> None:
        self._root = root
        self._files: dict[bytes, Signature] = {}
        self._complete = True

    def note(self, path: bytes, signature: Signature | None) -> None:
        """The host itself put (or, with None, removed) a file: that is no change by user code."""
        if any(paths.hidden(part) for part in path.split(b"/")):
            return
        if signature is None:
            self._files.pop(path, None)
        else:
            self._files[path] = signature

    def scan(self, limit: int) -> tuple[list[dict[str, Any]], Walk]:
        """Changes since the last scan, sorted by path, and the walk they were found in."""
        walk = Walk(self._root, limit).run()
        before, after = self._files, walk.files
        changes = list(self._differences(before, after, walk.complete and self._complete))
        self._files, self._complete = after, walk.complete
        changes.sort(key=lambda change: change["path"])
        return changes, walk

    def _differences(
        self, before: dict[bytes, Signature], after: dict[bytes, Signature], both_complete: bool
    ) -> Iterator[dict[str, Any]]:
        for path, signature in after.items():
            known = before.get(path)
            if known != signature:
                change = "created" if known is None else "modified"
                yield {**entry(self._root, path, signature), "change": change}
        if both_complete:
            for path in before.keys() - after.keys():
                yield {**entry(self._root, path, (0, 0, 0, 0)), "change": "deleted"}
