"""Frames of README.md: two lengths, a JSON header, raw bytes. Used on every channel of the supervisor."""

import json
import struct
from collections.abc import Iterator
from typing import Any

LENGTHS = struct.Struct(">II")
MIN_HEADER = 2
MAX_HEADER = 262_144
"""Bytes of a header, either direction."""
MAX_PAYLOAD = 1_048_576
"""Bytes of a payload, either direction."""

Header = dict[str, Any]


class BadFrame(ValueError):
    """A frame that breaks the bounds or is no JSON object. Ends the channel it came from."""


def encode_header(header: Header) -> bytes:
    """Compact JSON. File names with bytes that are no UTF-8 hold lone surrogates, which need escapes."""
    try:
        return json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(header, separators=(",", ":")).encode()


def pack(header: Header, payload: bytes | memoryview = b"") -> bytes:
    """One frame as bytes. Raises BadFrame if it would be too long for the other side."""
    text = encode_header(header)
    if len(text) > MAX_HEADER or len(payload) > MAX_PAYLOAD:
        raise BadFrame(f"frame too long: header {len(text)}, payload {len(payload)} bytes")
    return b"".join((LENGTHS.pack(len(text), len(payload)), text, payload))


class Decoder:
    """Bytes in, frames out. Holds at most one unfinished frame and what was fed with it."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def rest(self) -> bytes:
        """Takes the bytes after the last frame; for handing the channel to somebody else."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def __iter__(self) -> Iterator[tuple[Header, bytes]]:
        while (frame := self.next()) is not None:
            yield frame

    def next(self) -> tuple[Header, bytes] | None:
        buffer = self._buffer
        if len(buffer) < LENGTHS.size:
            return None
        header_length, payload_length = LENGTHS.unpack_from(buffer)
        if not MIN_HEADER <= header_length <= MAX_HEADER or payload_length > MAX_PAYLOAD:
            raise BadFrame(f"lengths out of bounds: {header_length}, {payload_length}")
        middle = LENGTHS.size + header_length
        end = middle + payload_length
        if len(buffer) < end:
            return None
        header = parse_header(bytes(buffer[LENGTHS.size : middle]))
        payload = bytes(buffer[middle:end])
        del buffer[:end]
        return header, payload


def parse_header(text: bytes) -> Header:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadFrame(f"header is not JSON: {error}") from None
    if not isinstance(header, dict):
        raise BadFrame("header is not a JSON object")
    return header
