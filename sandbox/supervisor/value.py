"""The value that a cell gives back, on its way from the kernel to the host: one, measured, piece by piece."""

from collections.abc import Callable

from .frames import Header

SOURCES = ("result", "expression")


class ValueRelay:
    """Of one execution. `emit` sends an event with a payload to the host."""

    def __init__(self, emit: Callable[[Header, bytes], None], max_bytes: int) -> None:
        self._emit = emit
        self._max_bytes = max_bytes
        self._left: int | None = None
        """Bytes still to come; None before the first piece."""
        self._said: tuple[object, object] | None = None
        """Where it is from and its bytes in all, as the first piece said; the others must say the same."""
        self.notes: list[str] = []
        """What became of parts of it, in sentences of the kernel."""
        self.dropped: str | None = None
        """Why there is none, in a sentence of the kernel."""

    def piece(self, header: Header, payload: bytes) -> bool:
        """False if this is not what a kernel sends."""
        source, size, more, notes = (header.get(name) for name in ("from", "bytes", "more", "notes"))
        if source not in SOURCES or type(size) is not int or type(more) is not bool or not _is_texts(notes):
            return False
        if self._left is None:
            if self.dropped is not None or not 0 < size <= self._max_bytes:
                return False
            self._left, self._said, self.notes = size, (source, size), notes
        if (source, size) != self._said or not 0 < len(payload) <= self._left or more == (len(payload) == self._left):
            return False
        self._left -= len(payload)
        self._emit({"event": "value", "from": source, "bytes": size, "more": more}, payload)
        return True

    def drop(self, reason: object) -> bool:
        if self._left is not None or self.dropped is not None or not isinstance(reason, str):
            return False
        self.dropped = reason
        return True


def _is_texts(notes: object) -> bool:
    return isinstance(notes, list) and len(notes) <= 8 and all(isinstance(note, str) for note in notes)
