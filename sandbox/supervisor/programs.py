"""The program of an `execute` request: in its header, in its payload, or in further frames. Its inputs follow it."""

from collections.abc import Callable
from dataclasses import dataclass

from .connection import Connection
from .files.failures import Refused
from .frames import MAX_PAYLOAD, Header

MAX_CODE = 31_457_280
"""Bytes: three for each of the 10,485,760 UTF-16 units that the host allows."""
MAX_INPUTS = 33_554_432
"""Bytes of JSON."""
MAX_NAMES = 64
_RETURNS = ("none", "automatic", "result", "expression")


@dataclass(frozen=True)
class Program:
    content: bytes
    """The code, and after it the inputs."""
    fields: Header
    """What the kernel is to know of it beside the limits."""


def receive(connection: Connection, request: Header, payload: bytes, whole: Callable[[Program], None]) -> None:
    """Calls `whole` once all of it is there. Raises Refused."""
    fields = _fields(request)
    length, inputs = request.get("code_bytes"), fields["inputs_bytes"]
    if length is None:
        if inputs:
            raise Refused("bad_request", "inputs come with code_bytes")
        whole(Program(_short(request, payload), fields))
        return
    if type(length) is not int or length < 1:
        raise Refused("bad_request", "code_bytes is a whole number")
    if length > MAX_CODE:
        raise Refused("too_large", f"the program has {length:,} bytes; at most {MAX_CODE:,} are taken")
    total = length + inputs
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
            whole(Program(bytes(pieces), fields))

    connection.on_code = more
    more({"id": request["id"]}, b"")


def pieces(code: bytes) -> list[bytes]:
    """As payloads of frames, one at least."""
    return [code[start : start + MAX_PAYLOAD] for start in range(0, max(1, len(code)), MAX_PAYLOAD)]


def _fields(request: Header) -> Header:
    inputs, returns = request.get("inputs_bytes", 0), request.get("returns", "none")
    if type(inputs) is not int or inputs < 0:
        raise Refused("bad_request", "inputs_bytes is a whole number")
    if inputs > MAX_INPUTS:
        raise Refused("too_large", f"the inputs have {inputs:,} bytes; at most {MAX_INPUTS:,} are taken")
    if returns not in _RETURNS:
        raise Refused("bad_request", f"returns is one of {', '.join(_RETURNS)}")
    return {
        "inputs_bytes": inputs,
        "returns": returns,
        "inputs_from": _names(request, "inputs_from"),
        "dataframes": _names(request, "dataframes"),
    }


def _names(request: Header, field: str) -> dict[str, str]:
    given = request.get(field, {})
    if not isinstance(given, dict) or len(given) > MAX_NAMES or not all(isinstance(each, str) for each in given.values()):
        raise Refused("bad_request", f"{field} maps names to text, {MAX_NAMES} at most")
    return given


def _short(request: Header, payload: bytes) -> bytes:
    code = request.get("code")
    if code is None and payload:
        return payload
    if not isinstance(code, str):
        raise Refused("bad_request", "code is text")
    return code.encode("utf-8", "replace")
