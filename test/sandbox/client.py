"""A small blocking client of the supervisor's protocol, for tests and the latency measurement."""

import contextlib
import json
import socket
import struct
import time
from typing import Any

LENGTHS = struct.Struct(">II")
Header = dict[str, Any]


class Failed(Exception):
    """The supervisor answered `failed`."""

    def __init__(self, header: Header) -> None:
        super().__init__(f"{header.get('code')}: {header.get('message')}")
        self.code = header.get("code")


class Result:
    """All events of one execution."""

    def __init__(self) -> None:
        self.events: list[tuple[Header, bytes]] = []

    @property
    def done(self) -> Header:
        return self.events[-1][0]

    def text(self, event: str = "stdout") -> str:
        return "".join(header["text"] for header, _ in self.events if header["event"] == event)

    def of(self, event: str) -> list[Header]:
        return [header for header, _ in self.events if header["event"] == event]

    def notices(self) -> list[str]:
        return [header["code"] for header in self.of("notice")]

    def images(self) -> list[bytes]:
        """The pictures, their pieces put together."""
        pictures: list[bytes] = []
        pieces: list[bytes] = []
        for header, payload in self.events:
            if header["event"] == "image":
                pieces.append(payload or bytes(header.get("zeros", 0)))
                if not header["more"]:
                    pictures.append(b"".join(pieces))
                    pieces = []
        return pictures

    def value(self) -> Any:
        """The value that came back, Ellipsis if none did."""
        pieces = [payload for header, payload in self.events if header["event"] == "value"]
        return json.loads(b"".join(pieces)) if pieces else ...

    def notice(self, code: str) -> str:
        """The message of the notices of that code."""
        return " ".join(header["message"] for header in self.of("notice") if header["code"] == code)

    def files(self) -> dict[str, str]:
        """Path to change."""
        return {entry["path"]: entry["change"] for entry in self.changes()}

    def changes(self) -> list[Header]:
        """Of all pages, in order."""
        return [entry for header in (*self.of("files"), self.done) for entry in header["files"]]


class Client:
    """One connection."""

    def __init__(self, path: str, timeout: float = 60.0) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        try:
            self.sock.connect(path)
        except OSError:
            self.sock.close()
            raise
        self._next = 0
        self._buffer = bytearray()

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def send(self, header: Header, payload: bytes = b"") -> int:
        """Sends a request, with an id if it has none; returns the id."""
        if "id" not in header:
            self._next += 1
            header = {"id": self._next, **header}
        text = json.dumps(header).encode()
        self.sock.sendall(LENGTHS.pack(len(text), len(payload)) + text + payload)
        return header["id"]

    def receive(self) -> tuple[Header, bytes]:
        while True:
            if len(self._buffer) >= LENGTHS.size:
                header_length, payload_length = LENGTHS.unpack_from(self._buffer)
                middle, end = LENGTHS.size + header_length, LENGTHS.size + header_length + payload_length
                if len(self._buffer) >= end:
                    header = json.loads(bytes(self._buffer[LENGTHS.size : middle]))
                    payload = bytes(self._buffer[middle:end])
                    del self._buffer[:end]
                    return header, payload
            data = self.sock.recv(1 << 20)
            if not data:
                raise EOFError("the supervisor closed the connection")
            self._buffer += data

    def last(self) -> Header:
        """Waits for `done`; raises Failed."""
        while True:
            header, _payload = self.receive()
            if header["event"] == "failed":
                raise Failed(header)
            if header["event"] == "done":
                return header

    def ask(self, op: str, **fields: Any) -> Header:
        self.send({"op": op, **fields})
        return self.last()

    def run(self, code: str, **fields: Any) -> Result:
        self.send({"op": "execute", "code": code, **fields})
        return self.finish()

    def run_long(self, code: str, inputs: bytes = b"", **fields: Any) -> Result:
        """Code and inputs of any length, in several frames."""
        data = code.encode()
        lengths = {"code_bytes": len(data), "inputs_bytes": len(inputs)}
        data += inputs
        identifier = self.send({"op": "execute", **lengths, **fields}, data[:1_000_000])
        for start in range(1_000_000, len(data), 1_000_000):
            self.send({"id": identifier, "op": "code"}, data[start : start + 1_000_000])
        return self.finish()

    def finish(self) -> Result:
        """Collects the events of the execution that runs."""
        result = Result()
        while True:
            header, payload = self.receive()
            if header["event"] == "failed":
                raise Failed(header)
            result.events.append((header, payload))
            if header["event"] == "done":
                return result

    def put(self, path: str, data: bytes, piece: int = 1 << 20, **fields: Any) -> Header:
        identifier = self.send({"op": "put", "path": path, **fields})
        header, _ = self.receive()
        if header["event"] == "failed":
            raise Failed(header)
        assert header["event"] == "ready", header
        with contextlib.suppress(BrokenPipeError):
            for start in range(0, len(data), piece):
                self.send({"id": identifier, "op": "data"}, data[start : start + piece])
            self.send({"id": identifier, "op": "end"})
        return self.last()

    def get(self, path: str, **fields: Any) -> bytes:
        self.send({"op": "get", "path": path, **fields})
        pieces: list[bytes] = []
        while True:
            header, payload = self.receive()
            if header["event"] == "failed":
                raise Failed(header)
            if header["event"] == "done":
                return b"".join(pieces)
            pieces.append(payload or bytes(header.get("zeros", 0)))


def connect(path: str, seconds: float = 30.0) -> Client:
    """Waits for the socket to be there."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return Client(path)
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
