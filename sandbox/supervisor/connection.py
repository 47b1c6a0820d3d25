"""One connection from the host: answers its requests, may be lent to a file worker for a transfer."""

import socket
from collections.abc import Callable

from .frames import BadFrame, Header
from .loop import Loop
from .stream import FrameStream

_UPLOAD_FRAMES = ("data", "end", "abort")
_Handler = Callable[[Header, bytes], None]


class Connection:
    """`on_request` gets what the host asks for; `on_close` is told once."""

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        on_request: Callable[["Connection", Header, bytes], None],
        on_close: Callable[["Connection"], None],
    ) -> None:
        self._on_request = on_request
        self.on_code: _Handler | None = None
        """Gets the frames `code` while a long program arrives."""
        self.stream = FrameStream(loop, sock, self._frame, lambda _reason: on_close(self))

    @property
    def congested(self) -> bool:
        return self.stream.congested

    @property
    def closed(self) -> bool:
        return self.stream.closed

    def send(self, header: Header, payload: bytes = b"") -> None:
        try:
            self.stream.send(header, payload)
        except BadFrame:
            identifier = header.get("id")
            self.stream.send(
                {"id": identifier, "event": "failed", "code": "internal", "message": "an answer was too long"}
            )

    def fail(self, identifier: object, code: str, message: str) -> None:
        self.send({"id": identifier, "event": "failed", "code": code, "message": message})

    def _frame(self, header: Header, payload: bytes) -> None:
        identifier = header.get("id")
        if type(identifier) is not int:
            self.fail(None, "bad_request", "id is a whole number")
        elif header.get("op") in _UPLOAD_FRAMES:
            # The rest of an upload that was refused meanwhile.
            pass
        elif header.get("op") == "code":
            # Without anybody to take it: the rest of a program that was refused meanwhile.
            if self.on_code is not None:
                self.on_code(header, payload)
        else:
            self._on_request(self, header, payload)
