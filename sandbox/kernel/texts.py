"""Keeping texts short: head and tail of what is too long, with a line that says what is missing."""

import re

MAX_VALUE = 131_072
"""Bytes of one displayed or resulting text."""
MAX_TRACEBACK = 32_768
"""Bytes of a traceback."""
_MAX_LITERAL = 65_536
"""Characters of a str or bytes object whose whole repr is made."""
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def encode(text: str) -> bytes:
    """UTF-8; lone surrogates become U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return re.sub("[\ud800-\udfff]", "\ufffd", text).encode()


def without_colours(text: str) -> str:
    return _ESCAPES.sub("", text)


def bounded(text: str, limit: int) -> tuple[bytes, int]:
    """At most `limit` bytes of UTF-8, and how many bytes were left out."""
    if len(text) > 2 * limit:
        # Encoding all of a gigantic text would cost its size again.
        left_out = len(text) - 2 * limit
        text = text[:limit] + text[-limit:]
    else:
        left_out = 0
    data = encode(text)
    if len(data) <= limit and not left_out:
        return data, 0
    room = limit - 100
    head = data[: room * 3 // 4].decode("utf-8", "ignore").encode()
    tail = data[-(room // 4) :].decode("utf-8", "ignore").encode()
    left_out += len(data) - len(head) - len(tail)
    return head + f"\n[... {left_out:,} bytes left out ...]\n".encode() + tail, left_out


def literal(value: str | bytes) -> str:
    """repr of text; of a very long one only the ends are looked at."""
    if len(value) <= _MAX_LITERAL:
        return repr(value)
    end = _MAX_LITERAL // 4
    middle = f"\n[... {len(value) - 4 * end:,} characters left out ...]\n"
    return repr(value[: 3 * end]) + middle + repr(value[-end:])
