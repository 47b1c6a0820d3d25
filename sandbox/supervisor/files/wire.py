"""Blocking frames over a borrowed host connection: what a file worker reads and writes."""

import select
import socket

from ..frames import LENGTHS, BadFrame, Decoder, Header, encode_header, pack

_READ_BYTES = 262_144


class HostGone(Exception):
    """The host closed the connection, or what it sends is no frame."""


class HostWire:
    """The descriptor is shared with the supervisor and non-blocking, so all waiting is a poll."""

    def __init__(self, sock: socket.socket, rest: bytes) -> None:
        self._sock = sock
        self._decoder = Decoder()
        self._decoder.feed(rest)
        self._poll = select.poll()

    def rest(self) -> bytes:
        return self._decoder.rest()

    def receive(self) -> tuple[Header, bytes]:
        try:
            while (frame := self._decoder.next()) is None:
                data = self._receive_some()
                if not data:
                    raise HostGone
                self._decoder.feed(data)
        except BadFrame:
            self._sock.shutdown(socket.SHUT_RDWR)
            raise HostGone from None
        return frame

    def send(self, header: Header, payload: memoryview | bytes = b"") -> None:
        if len(payload) < 4096:
            self._send_all([memoryview(pack(header, payload))])
            return
        text = encode_header(header)
        self._send_all([memoryview(LENGTHS.pack(len(text), len(payload)) + text), memoryview(payload)])

    def _receive_some(self) -> bytes:
        while True:
            try:
                return self._sock.recv(_READ_BYTES)
            except BlockingIOError:
                self._wait(select.POLLIN)
            except OSError:
                raise HostGone from None

    def _send_all(self, parts: list[memoryview]) -> None:
        while parts:
            try:
                sent = self._sock.sendmsg(parts)
            except BlockingIOError:
                self._wait(select.POLLOUT)
                continue
            except OSError:
                raise HostGone from None
            while parts and sent >= len(parts[0]):
                sent -= len(parts.pop(0))
            if parts:
                parts[0] = parts[0][sent:]

    def _wait(self, mask: int) -> None:
        self._poll.register(self._sock.fileno(), mask)
        self._poll.poll()
