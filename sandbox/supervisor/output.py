"""What an execution prints, bounded: the first half live, of the rest the last half at the end."""

import codecs
from collections import deque
from collections.abc import Callable

from .frames import MAX_HEADER, Header, encode_header

MAX_TEXT = 32_768
"""Bytes of text in one stdout or stderr event. Six times that, the worst JSON escape, still fits a header."""
_EVENT_COST = 64
"""Bytes that any event counts beside its text, so that a flood of small ones ends too."""

Emit = Callable[[Header], None]


def clean(text: str) -> str:
    """Without lone surrogates: they are no text."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


class StreamDecoder:
    """Bytes of one pipe as text; a character may be split between two reads."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def text(self, data: bytes, final: bool = False) -> str:
        return self._decoder.decode(data, final)


class OutputLog:
    """Events of text in order, at most `limit` bytes of them; `emit` sends one to the host."""

    def __init__(self, emit: Emit, limit: int) -> None:
        self._emit = emit
        self._head = limit // 2
        self._tail_limit = limit - self._head
        self._tail: deque[tuple[str, str, int]] = deque()
        self._tail_bytes = 0
        self._last: list[Header] = []
        self._full = False
        self.events = 0
        self.cut = 0
        """Bytes left out."""

    def add(self, event: str, text: str, size: int) -> None:
        """`size` is the text's length in bytes, MAX_TEXT at most for stdout and stderr."""
        cost = size if event in ("stdout", "stderr") else size + _EVENT_COST
        if not self._full and cost <= self._head:
            self._head -= cost
            self._send(event, text)
            return
        if not self._full and event in ("stdout", "stderr") and self._head > 0:
            first, text = _split(text, self._head)
            size -= len(first.encode())
            self._send(event, first)
        self._full = True
        self._keep(event, text, size if event in ("stdout", "stderr") else size + _EVENT_COST)

    def add_error(self, header: Header) -> None:
        """A traceback is never left out, and never comes before what was printed."""
        if self._full:
            self._last.append(header)
        else:
            self._emit(header)

    def finish(self) -> None:
        """Sends the kept end, below a line that says how much is missing."""
        if self._full:
            self._trim()
            if self.cut:
                self._emit({"event": "stdout", "text": f"\n[... {self.cut:,} bytes of output left out ...]\n"})
            for event, text, _cost in self._tail:
                self._send(event, text)
        for header in self._last:
            self._emit(header)
        self._tail.clear()
        self._last.clear()

    def _send(self, event: str, text: str) -> None:
        if text:
            self.events += 1
            self._emit(fit({"event": event, "text": text}))

    def _keep(self, event: str, text: str, cost: int) -> None:
        last = self._tail[-1] if self._tail else ("", "", 0)
        if event == last[0] and event in ("stdout", "stderr") and last[2] + cost <= MAX_TEXT // 4:
            self._tail.pop()
            self._tail_bytes -= last[2]
            text, cost = last[1] + text, cost + last[2]
        self._tail.append((event, text, cost))
        self._tail_bytes += cost
        while self._tail and self._tail_bytes - self._tail[0][2] >= self._tail_limit:
            self._drop_first()

    def _drop_first(self) -> None:
        _event, text, cost = self._tail.popleft()
        self._tail_bytes -= cost
        self.cut += len(text.encode())

    def _trim(self) -> None:
        """Shortens the first kept piece to what its share allows."""
        excess = self._tail_bytes - self._tail_limit
        if excess <= 0 or not self._tail:
            return
        event, text, cost = self._tail.popleft()
        dropped, text = _split(text, excess) if event in ("stdout", "stderr") else (text, "")
        self.cut += len(dropped.encode())
        self._tail.appendleft((event, text, cost - excess))


def _split(text: str, size: int) -> tuple[str, str]:
    """At most `size` bytes of text, and the rest; never inside a character."""
    first = text.encode()[:size].decode("utf-8", "ignore")
    return first, text[len(first) :]


def fit(header: Header) -> Header:
    """Shortens `text` if JSON escapes make the header too long for a frame."""
    if len(header["text"]) <= MAX_TEXT or len(encode_header(header)) < MAX_HEADER - 1024:
        return header
    text = header["text"]
    half = MAX_TEXT // 4
    return {**header, "text": f"{text[:half]}\n[... {len(text) - 2 * half:,} characters left out ...]\n{text[-half:]}"}
