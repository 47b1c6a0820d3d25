"""The supervisor's side of the file workers: who is free, who does what, who died.

Two of them: `Scanner`, one process for the scan after an execution, and `Pool`, a few processes for the
host's file operations. A transfer borrows the host's connection, so its bytes never pass through here.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from .files import tree
from .files.glance import glance
from .forking import fork_file_worker
from .frames import Header
from .loop import Loop
from .options import Options
from .stream import FrameStream

Reply = Callable[[Header, bytes], None]
"""Called once, with the worker's answer, or with a `failed` if the worker died."""


@dataclass(frozen=True)
class Job:
    request: Header
    reply: Reply
    payload: bytes = b""
    fd: int | None = None


class _Worker:
    """One process. Answers jobs in order; `on_note` gets what it says beside answers."""

    def __init__(self, loop: Loop, options: Options, on_free: Callable[[], None], on_note: Callable[[Header], None]):
        self.pid, sock = fork_file_worker(options)
        self.job: Job | None = None
        self.dead = False
        self._on_free = on_free
        self._on_note = on_note
        self.stream = FrameStream(loop, sock, self._answered, self._closed)

    def give(self, job: Job) -> None:
        self.job = job
        if job.fd is None:
            self.stream.send(job.request, job.payload)
        else:
            self.stream.send_with_fd(job.request, job.payload, job.fd)

    def _answered(self, header: Header, payload: bytes) -> None:
        if header.get("event") == "stored":
            self._on_note(header)
            return
        job, self.job = self.job, None
        if job is not None:
            job.reply(header, payload)
        self._on_free()

    def _closed(self, reason: str) -> None:
        self.dead = True
        job, self.job = self.job, None
        if job is not None:
            job.reply(_lost(job.request, reason), b"")
        self._on_free()


def _lost(request: Header, reason: str) -> Header:
    message = f"the file worker is gone: {reason}"
    return {"id": request.get("id"), "event": "failed", "code": "internal", "message": message, "lost": True}


class Pool:
    """Keeps one worker idle where it can, so that a request rarely waits for a fork."""

    def __init__(self, loop: Loop, options: Options, on_note: Callable[[Header], None]) -> None:
        self._loop = loop
        self._options = options
        self._on_note = on_note
        self._waiting: deque[Job] = deque()
        self._workers = [self._new() for _ in range(2)]

    def submit(self, job: Job) -> None:
        self._waiting.append(job)
        self._hand_out()

    @property
    def busy(self) -> bool:
        return any(worker.job is not None for worker in self._workers)

    def pids(self) -> set[int]:
        return {worker.pid for worker in self._workers}

    def _new(self) -> _Worker:
        return _Worker(self._loop, self._options, self._hand_out, self._on_note)

    def _hand_out(self) -> None:
        self._workers = [worker for worker in self._workers if not worker.dead]
        while self._waiting:
            free = next((worker for worker in self._workers if worker.job is None), None)
            if free is None and len(self._workers) < self._options.transfer_workers:
                free = self._new()
                self._workers.append(free)
            if free is None:
                return
            free.give(self._waiting.popleft())


@dataclass(frozen=True)
class Report:
    """One page of what changed."""

    files: list[Header]
    more: bool
    complete: bool
    """False: there may be changes that no page names."""
    used_bytes: int | None = None
    """Of the data disk."""


class Scanner:
    """Knows how the files looked after the last execution."""

    def __init__(self, loop: Loop, options: Options) -> None:
        self._loop = loop
        self._options = options
        self.max_files = options.max_files
        self.count = 0
        """Directory entries at the last scan, and files put since."""
        self._jobs: deque[Job] = deque()
        self._forgot = False
        self._complete = True
        self._settled: object = None
        """What a glance showed before the last scan, where that scan has told all."""
        self._worker = self._new()
        # What is there at boot was not made by user code.
        self.scan(lambda _report: None)

    def scan(self, reply: Callable[[Report], None]) -> None:
        """The first page of what changed; `page` gives the others. Lost pages are in the next scan. Calls back later."""
        state = self._glance()
        if self._is_settled(state):
            used = tree.used_bytes(self._options.data)
            self._loop.soon(lambda: reply(Report([], False, True, used)))
            return
        self._settled = None

        def answered(header: Header, _payload: bytes) -> None:
            if header["event"] != "done":
                reply(Report([], False, False))
                return
            forgot, self._forgot = self._forgot, False
            self._complete = header["complete"] and not forgot
            self.count = header["count"]
            # From before the scan, so that what was changed while it ran is looked for again.
            if self._complete and not header["more"]:
                self._settled = state
            reply(self._report(header))

        self._submit({"op": "scan", "max_files": self.max_files}, answered)

    def prepare(self) -> None:
        """So that the next scan finds nothing to do if nothing is changed until then. No change is lost by this."""
        state = self._glance()
        if state is None or self._is_settled(state):
            return

        def answered(header: Header, _payload: bytes) -> None:
            if header["event"] == "done" and header["complete"] and not (header["more"] or self._forgot):
                self._settled = state

        self._submit({"op": "scan", "max_files": self.max_files, "keep": True}, answered)

    def _glance(self) -> object:
        """None: only a scan can tell."""
        seen = glance(self._options.data)
        return None if seen is None else (seen, self.max_files)

    def _is_settled(self, state: object) -> bool:
        return state is not None and state == self._settled and not self._worker.dead

    def page(self, reply: Callable[[Report], None]) -> None:
        def answered(header: Header, _payload: bytes) -> None:
            reply(self._report(header) if header["event"] == "done" else Report([], False, False))

        self._submit({"op": "page"}, answered)

    def count_entries(self, limit: int, reply: Callable[[int], None]) -> None:
        """Directory entries on the disk and in the scratch directories, at most `limit`. Cheap: 1 µs each."""
        directories = [self._options.data, *self._options.scratch.split(":")]

        def answered(header: Header, _payload: bytes) -> None:
            reply(header.get("count", 0))

        self._submit({"op": "count", "directories": directories, "limit": limit}, answered)

    def _report(self, header: Header) -> Report:
        return Report(header["files"], header["more"], self._complete, header["used_bytes"])

    def pids(self) -> set[int]:
        return {self._worker.pid}

    def note(self, header: Header) -> None:
        """A pool worker stored or removed a file for the host; not a change by user code."""
        self.count += 1 if header["signature"] else -1
        self._worker.stream.send({"op": "note", "path": header["path"], "signature": header["signature"]})

    def empty(self, directories: list[str]) -> None:
        self._submit({"op": "empty", "directories": directories}, lambda _header, _payload: None)

    def _submit(self, request: Header, reply: Reply) -> None:
        self._jobs.append(Job(request, reply))
        self._next()

    def _next(self) -> None:
        if not self._jobs:
            return
        if self._worker.dead:
            self._worker = self._new()
            self._forgot = True
        if self._worker.job is None:
            self._worker.give(self._jobs.popleft())

    def _new(self) -> _Worker:
        return _Worker(self._loop, self._options, self._next, lambda _note: None)
