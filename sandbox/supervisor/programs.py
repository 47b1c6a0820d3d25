"""The program of an `execute` request: in its header, in its payload, or in further frames."""

from collections.abc import Callable

from .connection import Connection
from .files.failures import Refused
from .frames import MAX_PAYLOAD, Header

MAX_CODE = 31_457_280
"""Bytes: three for each of the 10,485,760 UTF-16 units that the host allows."""


def receive(connection: Connection, request: Header, payload: bytes, whole: Callable[[bytes], None]) -> None:
    """Calls `whole` once all of it is there. Raises Refused."""
    total = request.get("code_bytes")
    if total is None:
        whole(_short(request, payload))
        return
    if type(total) is not int or total < 1:
        raise Refused("bad_request", "code_bytes is a whole number")
    if total > MAX_CODE:
        raise Refused("too_large", f"the program has {total:,} bytes; at most {MAX_CODE:,} are taken")
    pieces = bytearray(payload)

    def more(header: Header, piece: bytes) -> None:
        if header.get("id") != request["id"]:
            return
        pieces.extend(piece)
        if len(pieces) > total:
            connection.on_code = None
            connection.fail(request["id"], "bad_request", "the program is longer than it was said to be")
        elif len(pieces) == total:
            connection.on_code = None
            whole(bytes(pieces))

    connection.on_code = more
    more({"id": request["id"]}, b"")


def pieces(code: bytes) -> list[bytes]:
    """As payloads of frames, one at least."""
    return [code[start : start + MAX_PAYLOAD] for start in range(0, max(1, len(code)), MAX_PAYLOAD)]


def _short(request: Header, payload: bytes) -> bytes:
    code = request.get("code")
    if code is None and payload:
        return payload
    if not isinstance(code, str):
        raise Refused("bad_request", "code is text")
    return code.encode("utf-8", "replace")
