"""Pictures on their way from the kernel to the host: counted, measured, passed on piece by piece."""

from collections.abc import Callable

from .frames import Header

_MAGIC = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}


_NAMES = {"title": 200, "saved_as": 4096}
"""What a picture may say of itself, and how many characters of it."""


def _names(header: Header) -> Header:
    given = {name: header.get(name) for name in _NAMES}
    return {name: text for name, text in given.items() if isinstance(text, str) and 0 < len(text) <= _NAMES[name]}


class ImageRelay:
    """Bounds of one execution. `emit` sends an event with a payload to the host."""

    def __init__(self, emit: Callable[[Header, bytes], None], max_images: int, max_bytes: int) -> None:
        self._emit = emit
        self._max_images = max_images
        self._max_bytes = max_bytes
        self._left = 0
        self._passing = False
        self.sent = 0
        self.too_many = 0
        """Pictures beyond the number."""
        self.too_large: list[int] = []
        """Sizes in bytes of pictures beyond the size."""

    def dropped(self, size: int) -> None:
        """The kernel says that it did not even send one. Counted like any other."""
        if self.sent + len(self.too_large) >= self._max_images:
            self.too_many += 1
        else:
            self.too_large.append(size)

    def piece(self, header: Header, payload: bytes) -> bool:
        """False if this is not what a kernel sends."""
        mime, size, more = header.get("mime"), header.get("bytes"), header.get("more")
        if not isinstance(mime, str) or mime not in _MAGIC or type(size) is not int or size <= 0 or type(more) is not bool:
            return False
        if not self._left:
            if not payload.startswith(_MAGIC[mime]):
                return False
            self._left = size
            self._passing = self._admit(size)
        if not payload or len(payload) > self._left or more == (len(payload) == self._left):
            return False
        self._left -= len(payload)
        if self._passing:
            event = {"event": "image", "index": self.sent, "mime": mime, "bytes": size, "more": more}
            self._emit({**event, **_names(header)}, payload)
            self.sent += 0 if more else 1
        return True

    def _admit(self, size: int) -> bool:
        if self.sent + len(self.too_large) >= self._max_images:
            self.too_many += 1
            return False
        if size > self._max_bytes:
            self.too_large.append(size)
            return False
        return True
