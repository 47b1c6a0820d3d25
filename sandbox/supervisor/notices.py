"""What an execution says beside its output: limits that cut something, and what was lost. For people and models."""

from collections.abc import Iterator

from .frames import Header
from .images import ImageRelay
from .kernel import End
from .limits import Limits
from .memory import in_words
from .output import OutputLog, clean
from .value import ValueRelay

_MAX_REASON = 1_000
"""Characters of one sentence that the kernel wrote."""
_FILES_KEPT = "Variables are lost; files in /mnt/data are kept."


class Notices:
    """Collected while code runs, sent before its end."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._all: list[tuple[str, str]] = []

    def events(self) -> Iterator[Header]:
        for code, message in self._all:
            yield {"event": "notice", "code": code, "message": message}

    def died_before(self) -> None:
        self._add("state_lost", f"Python died since the last execution. {_FILES_KEPT}")

    def died(self, end: End, stopped: bool) -> None:
        if stopped:
            self._add("state_lost", f"Python died while it was stopped: {end.words}. Variables are lost.")
        else:
            self._add("kernel_died", f"Python died: {end.words}. {_FILES_KEPT}")

    def stopped(self, cause: str | None, state_lost: bool) -> None:
        if cause == "timed_out":
            seconds = self._limits.timeout_ms / 1000
            kept = _FILES_KEPT if state_lost else "Variables are kept."
            self._add("timeout", f"Stopped after {seconds:g} s, the time limit. {kept}")
        if cause is not None and state_lost:
            self._add("state_lost", f"Python was killed. {_FILES_KEPT}")

    def out_of_memory(self, limit: int) -> None:
        self._add("out_of_memory", f"Python was killed: it needed more than {in_words(limit)}. {_FILES_KEPT}")

    def children_killed(self, count: int, limit: int, state_lost: bool) -> None:
        if count == 0:
            return
        what = "A process" if count == 1 else f"{count} processes"
        was = "was" if count == 1 else "were"
        kept = "" if state_lost else " Python goes on, with its variables."
        self._add("out_of_memory", f"{what} started by the code {was} killed: memory ran out, {in_words(limit)}.{kept}")

    def too_many_entries(self, limit: int) -> None:
        self._add(
            "files_limit",
            f"Stopped: there are more than {limit:,} files and directories, the most that a container can hold. "
            "Delete some of them, or write fewer and larger files.",
        )

    def too_many_files(self, limit: int) -> None:
        self._add(
            "too_many_files",
            f"There are more files and directories than are looked at ({limit:,}); "
            "the list of changed files is not complete.",
        )

    def processes_left(self, count: int) -> None:
        if count:
            what = "1 process" if count == 1 else f"{count} processes"
            self._add("processes_left", f"Started by the code and still running: {what}.")

    def cuts(self, log: OutputLog, images: ImageRelay) -> None:
        limits = self._limits
        if log.cut:
            self._add(
                "output_truncated",
                f"The output was longer than {limits.max_output_bytes:,} bytes; "
                f"{log.cut:,} bytes in the middle were left out.",
            )
        for size in images.too_large:
            self._add("image_dropped", f"An image of {size:,} bytes was left out: the limit is {limits.max_image_bytes:,}.")
        if images.too_many:
            self._add(
                "images_dropped",
                f"{images.too_many} images were left out: the limit is {limits.max_images} in one execution.",
            )

    def value(self, value: ValueRelay) -> None:
        if value.dropped is not None:
            self._add("value_dropped", clean(f"The value was not returned. {value.dropped[:_MAX_REASON]}"))
        if value.notes:
            self._add("value_converted", clean(" ".join(note[:_MAX_REASON] for note in value.notes)))

    def _add(self, code: str, message: str) -> None:
        self._all.append((code, message))
