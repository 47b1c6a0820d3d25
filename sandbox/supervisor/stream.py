"""A framed, non-blocking stream socket: a host connection, the kernel's channel, a worker's channel."""

import socket
from collections import deque
from collections.abc import Callable
from itertools import islice

from .faults import report
from .frames import BadFrame, Decoder, Header, pack
from .loop import READ, WRITE, Loop

READ_BYTES = 262_144
_PIECES = 64
"""Frames written with one call."""
CONGESTED_BYTES = 4_194_304
"""Above this many bytes waiting to be written, whoever produces them should pause."""


class FrameStream:
    """Reads frames into `on_frame`, queues frames out, tells `on_close` once with the reason."""

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        on_frame: Callable[[Header, bytes], None],
        on_close: Callable[[str], None],
        before_frames: Callable[[], None] | None = None,
    ) -> None:
        """`before_frames` is called when bytes have arrived and are about to become frames."""
        sock.setblocking(False)
        self.sock = sock
        self.closed = False
        self.on_drained: Callable[[], None] | None = None
        self._loop = loop
        self._on_frame = on_frame
        self._on_close = on_close
        self._before_frames = before_frames
        self._decoder = Decoder()
        self._queue: deque[bytes | memoryview] = deque()
        self._queued = 0
        self._reading = True
        self._lent = False
        self._mask = 0
        self._watch()

    @property
    def congested(self) -> bool:
        return self._queued > CONGESTED_BYTES

    def send(self, header: Header, payload: bytes | memoryview = b"") -> None:
        """Never blocks and never raises for a dead peer; that arrives as `on_close`.

        What is sent in one round of the loop is written together at its end.
        """
        if self.closed:
            return
        data = pack(header, payload)
        if not self._queue and not self._lent:
            self._loop.soon(self._flush)
        self._queue.append(data)
        self._queued += len(data)
        if self._queued > CONGESTED_BYTES:
            self._flush()

    def send_with_fd(self, header: Header, payload: bytes, fd: int) -> None:
        """As `send`, with a descriptor for the receiver. Only for a peer that has nothing queued."""
        data = pack(header, payload)
        try:
            sent = socket.send_fds(self.sock, [data], [fd])
        except OSError as error:
            self.close(str(error))
            return
        if sent < len(data):
            self._queue.append(memoryview(data)[sent:])
            self._queued += len(data) - sent
            self._watch()

    def pause(self) -> None:
        """Stops reading; the peer feels it as a full buffer."""
        self._reading = False
        self._watch()

    def resume(self) -> None:
        self._reading = True
        self._watch()

    def drain(self) -> None:
        """Handles all that has arrived by now; used when the peer is known to be gone."""
        while not self.closed and self._read():
            pass

    def lend(self) -> bytes:
        """Gives the socket away until `take_back`. Returns bytes read too far."""
        self._lent = True
        self._watch()
        return self._decoder.rest()

    def take_back(self, rest: bytes) -> None:
        self._lent = False
        self._decoder.feed(rest)
        self._flush()
        self._dispatch()

    @property
    def idle(self) -> bool:
        """Nothing waits to be written, so the socket can be lent."""
        if self._queue:
            self._flush()
        return not self._queue

    def close(self, reason: str) -> None:
        if self.closed:
            return
        self.closed = True
        self._loop.forget(self.sock.fileno())
        self.sock.close()
        self._queue.clear()
        self._queued = 0
        self._decoder.rest()
        self._on_close(reason)

    def _watch(self) -> None:
        """Tells the loop what to wait for, if that has changed."""
        if self.closed:
            return
        mask = 0
        if not self._lent:
            mask = (READ if self._reading else 0) | (WRITE if self._queue else 0)
        if mask == self._mask:
            return
        self._mask = mask
        if mask:
            self._loop.watch(self.sock.fileno(), mask, self._ready)
        else:
            self._loop.forget(self.sock.fileno())

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if not self.closed and events & ~WRITE and not self._lent:
            self._read()

    def _read(self) -> bool:
        try:
            data = self.sock.recv(READ_BYTES)
        except BlockingIOError:
            return False
        except OSError as error:
            self.close(str(error))
            return False
        if not data:
            self.close("closed by the other side")
            return False
        self._decoder.feed(data)
        if self._before_frames is not None:
            self._before_frames()
        self._dispatch()
        return True

    def _dispatch(self) -> None:
        try:
            while not self.closed and not self._lent:
                frame = self._decoder.next()
                if frame is None:
                    return
                self._on_frame(*frame)
        except BadFrame as error:
            self.close(f"bad frame: {error}")
        except Exception as error:
            # Whoever sent it can be done without; the supervisor cannot.
            report(f"a frame ended its channel: {type(error).__name__}: {error}")
            self.close(f"a frame that cannot be handled ({type(error).__name__})")

    def _flush(self) -> None:
        if self._lent:
            return
        while self._queue and not self.closed:
            sent = self._write_some()
            self._queued -= sent
            if sent == 0:
                break
            self._forget_written(sent)
        self._watch()
        if not self._queue and not self.closed and self.on_drained is not None:
            self.on_drained()

    def _write_some(self) -> int:
        """Bytes that the socket took of what is first in the queue."""
        try:
            if len(self._queue) == 1:
                return self.sock.send(self._queue[0])
            return self.sock.sendmsg(list(islice(self._queue, _PIECES)))
        except BlockingIOError:
            return 0
        except OSError as error:
            self.close(str(error))
            return 0

    def _forget_written(self, sent: int) -> None:
        while sent:
            data = self._queue.popleft()
            if sent < len(data):
                self._queue.appendleft(memoryview(data)[sent:])
                return
            sent -= len(data)
