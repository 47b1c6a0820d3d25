"""The requests of the protocol. One object for the life of the sandbox; main.py makes it."""

import errno
import os
import signal
import socket
import time
from collections.abc import Callable

from . import processes, programs
from .connection import Connection
from .execution import Execution
from .faults import report
from .files.failures import Refused
from .frames import Header
from .kernel import KernelKeeper
from .limits import Limits, read_limits, whole_number
from .loop import READ, Loop
from .memory import Meter
from .options import Options
from .parking import CannotPark, Parking
from .pressure import Pressure
from .watch import EntryWatch, MemoryWatch
from .workers import Job, Pool, Scanner

VERSION = "2"
"""Of the protocol; grows when an older side would misunderstand a newer one."""


class Service:
    def __init__(self, loop: Loop, options: Options) -> None:
        self.loop = loop
        self._options = options
        self._begun = time.monotonic()
        self._pool = Pool(loop, options, self._file_noted)
        self.scanner = Scanner(loop, options)
        self.kernel = KernelKeeper(loop, options)
        self.watch = MemoryWatch(loop, Meter(options.uid), options.memory_bytes, self._memory_exceeded)
        self.entries = EntryWatch(loop, self.scanner, options.max_entries, self._entries_exceeded)
        self.pressure = Pressure(options.uid, options.scratch.split(":"))
        self._left: set[int] = set()
        """Pids of user code that the last execution left."""
        self._execution: Execution | None = None
        self._executor: Connection | None = None
        self._configuring = False
        self._restored = False
        """Whether this sandbox was made from an image of another one."""
        self._connections: set[Connection] = set()
        self._requests: dict[str, Callable[[Connection, Header, bytes], None]] = {
            "ping": self._ping,
            "configure": self._configure,
            "execute": self._execute,
            "interrupt": self._interrupt,
            "restart": self._restart,
            "park": self._park,
            "put": self._transfer,
            "get": self._transfer,
            "list": self._list,
            "remove": self._remove,
        }

    def listen(self, path: str) -> None:
        directory = os.path.dirname(path)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        os.chmod(directory, 0o700)
        if os.path.lexists(path):
            os.unlink(path)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(path)
        self._listener.listen(64)
        self._listener.setblocking(False)
        self.loop.watch(self._listener.fileno(), READ, self._accept)

    def children_ended(self) -> None:
        """SIGCHLD: reaps everything, ours and adopted orphans."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self.kernel.reaped(pid, status)

    def end(self) -> None:
        """No process of user code survives."""
        self.kernel.end()
        self.loop.stop()

    def empty_scratch(self) -> None:
        self.scanner.empty(self._options.scratch.split(":"))

    def left_processes(self) -> int:
        """Processes of user code beside the kernel, which may go on from now on."""
        self._left = self.kernel.left_processes(self._our_pids() | self.pressure.dying)
        return len(self._left)

    def end_started(self) -> bool:
        """Ends what was started since the last execution was over; False if that cannot be done."""
        return self.kernel.end_others(self._our_pids() | self._left)

    def _our_pids(self) -> set[int]:
        return {os.getpid()} | self._pool.pids() | self.scanner.pids()

    def _accept(self, _events: int) -> None:
        try:
            sock, _address = self._listener.accept()
        except OSError as error:
            report(f"accept: {error}")
            # The gofer is gone, and nobody can reach us any more. gVisor (20260905) ends a sandbox whose gofer has died,
            # but not one that was made from an image.
            if error.errno == errno.EIO:
                self.end()
            return
        self._connections.add(Connection(self.loop, sock, self._request, self._closed))

    def _closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if connection is self._executor and self._execution is not None:
            self._execution.abandoned()

    def _request(self, connection: Connection, header: Header, payload: bytes) -> None:
        handler = self._requests.get(header["op"]) if isinstance(header.get("op"), str) else None
        if handler is None:
            connection.fail(header["id"], "bad_request", "unknown op")
        else:
            self._answering(connection, header, lambda: handler(connection, header, payload))

    def _answering(self, connection: Connection, header: Header, work: Callable[[], None]) -> None:
        """What goes wrong becomes the answer to the request."""
        try:
            work()
        except Refused as error:
            connection.fail(header["id"], error.code, error.message)
        except Exception as error:
            report(f"{header.get('op')}: {type(error).__name__}: {error}")
            connection.fail(header["id"], "internal", f"{type(error).__name__} in the supervisor")

    def _ping(self, connection: Connection, header: Header, _payload: bytes) -> None:
        uptime = round((time.monotonic() - self._begun) * 1000)
        # Files are looked at after the kernel is done; until then no other code is taken.
        state = "busy" if self.kernel.state == "ready" and self._execution is not None else self.kernel.state
        _done(connection, header, version=VERSION, kernel=state, uptime_ms=uptime, restored=self._restored)

    def _configure(self, connection: Connection, header: Header, _payload: bytes) -> None:
        self._require_idle()
        memory, max_files, warm_up = header.get("memory_bytes"), header.get("max_files"), header.get("warm_up", False)
        if memory is not None:
            whole_number("memory_bytes", memory, 0, 1 << 50)
        if max_files is not None:
            whole_number("max_files", max_files, 1, 1_000_000)
        if not isinstance(warm_up, bool) or (warm_up and self.kernel.used):
            raise Refused("bad_request", "warm_up is true or false, and not for a kernel that has run code")
        if memory is not None:
            self.watch.set_limit(memory)
        if max_files is not None:
            self.scanner.max_files = max_files
        self._configuring = True

        def finished(ready: bool) -> None:
            self._configuring = False
            if ready:
                self.scanner.prepare()
                _done(connection, header)
            else:
                connection.fail(header["id"], "internal", "Python does not start")

        def ready(is_ready: bool) -> None:
            if is_ready:
                self.kernel.configure(warm_up, finished)
            else:
                finished(False)

        self.kernel.when_ready(ready)

    def _execute(self, connection: Connection, header: Header, payload: bytes) -> None:
        self._require_idle()
        limits = read_limits(header)

        def whole(program: programs.Program) -> None:
            self._answering(connection, header, lambda: self._begin(connection, header, limits, program))

        programs.receive(connection, header, payload, whole)

    def _begin(self, connection: Connection, header: Header, limits: Limits, program: programs.Program) -> None:
        self._require_idle()
        self._executor = connection
        self._execution = Execution(self, connection, header["id"], limits, self._execution_over)
        connection.stream.on_drained = self._execution.drained
        self._execution.start(program)

    def _execution_over(self) -> None:
        if self._executor is not None:
            self._executor.stream.on_drained = None
        self._execution = self._executor = None

    def _interrupt(self, connection: Connection, header: Header, _payload: bytes) -> None:
        execution = self._execution
        _done(connection, header, running=execution is not None)
        if execution is not None:
            execution.stop("interrupted")

    def _restart(self, connection: Connection, header: Header, _payload: bytes) -> None:
        if self._execution is not None and self._execution.running:
            self._execution.kill("interrupted")
        else:
            self.kernel.replace()

        def ready(is_ready: bool) -> None:
            if is_ready:
                _done(connection, header)
            else:
                connection.fail(header["id"], "internal", "Python does not start")

        self.kernel.when_ready(ready)

    def _park(self, connection: Connection, header: Header, _payload: bytes) -> None:
        self._require_idle()
        if self._pool.busy or self.kernel.state != "ready":
            raise Refused("busy", "files are being copied, or Python is starting")
        try:
            parking = Parking()
        except CannotPark as error:
            raise Refused("internal", str(error)) from None
        _done(connection, header)

        def answered() -> None:
            self._let_go(connection)
            self._restored = parking.wait() or self._restored
            self.watch.sample()
            self.pressure.rehearse(self.kernel.pid)
            self.listen(self._options.socket)

        # The answer, which is written at the end of this round as well, goes first.
        self.loop.soon(answered)

    def _let_go(self, last: Connection) -> None:
        """Of the host: no sandbox can be written down with a socket of its in use.

        The end of the last connection tells the host that all else is done: it may ask for the checkpoint at once.
        """
        self.loop.forget(self._listener.fileno())
        self._listener.close()
        os.unlink(self._options.socket)
        for connection in [*(self._connections - {last}), last]:
            connection.stream.close("parked")

    def _list(self, connection: Connection, header: Header, _payload: bytes) -> None:
        request = {**header, "max_files": self.scanner.max_files}
        self._pool.submit(Job(request, lambda reply, _rest: connection.send(reply)))

    def _remove(self, connection: Connection, header: Header, _payload: bytes) -> None:
        def removed(reply: Header, _rest: bytes) -> None:
            if reply["event"] == "done":
                relative = reply["path"].removeprefix(self._options.data + "/")
                self.scanner.note({"path": relative, "signature": None})
            connection.send(reply)

        self._pool.submit(Job(header, removed))

    def _transfer(self, connection: Connection, header: Header, _payload: bytes) -> None:
        if connection is self._executor or not connection.stream.idle:
            raise Refused("bad_request", "a transfer needs a connection of its own")
        if header["op"] == "put" and self.scanner.count >= self.scanner.max_files:
            raise Refused("no_space", f"there are {self.scanner.count} files and directories, the most there can be")
        stream = connection.stream
        rest = stream.lend()

        def returned(reply: Header, leftover: bytes) -> None:
            if reply.get("lost"):
                stream.close("its file worker ended")
            else:
                stream.take_back(leftover)

        self._pool.submit(Job(header, returned, rest, stream.sock.fileno()))

    def _file_noted(self, note: Header) -> None:
        self.scanner.note(note)

    def _memory_exceeded(self) -> None:
        if self._execution is not None:
            self._execution.exceeded_memory()
        elif self.pressure.relieve(self.kernel.pid):
            report("out of memory between executions; a process that was left behind was killed")
        elif any(True for _ in processes.of_user(self._options.uid)):
            # Something left over grew between executions.
            report("out of memory between executions; Python is restarted")
            self.kernel.replace()
            self.kernel.lost = True
            self.empty_scratch()

    def _entries_exceeded(self) -> None:
        if self._execution is not None:
            self._execution.exceeded_entries()

    def _require_idle(self) -> None:
        if self._execution is not None or self._configuring:
            raise Refused("busy", "an execution is running")


def _done(connection: Connection, request: Header, **fields: object) -> None:
    connection.send({"id": request["id"], "event": "done", **fields})


def ending_signals(service: Service) -> dict[signal.Signals, Callable[[], None]]:
    """For Loop.on_signals: what `docker stop` sends ends the sandbox."""
    return {
        signal.SIGCHLD: service.children_ended,
        signal.SIGTERM: service.end,
        signal.SIGINT: service.end,
    }
