"""What IPython remembers of the cells that ran: not what they showed, and not all of their code.

IPython itself forgets nothing for as long as the kernel lives: a copy of every byte that was printed, and four of
every program. Users reach `Out`, `In`, `_` and `_i` as ever.
"""

import linecache
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from IPython.core.compilerop import CachingCompiler
from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Type

MOST_CODE = 5_000_000
"""Characters of programs; the newest one is kept whatever its size, for its traceback."""


class Recent[Key]:
    """Keys with sizes, of which the oldest are given up when the sum is above `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: deque[tuple[Key, int]] = deque()
        self._size = 0

    def add(self, key: Key, size: int) -> list[Key]:
        """The keys that are given up for this one."""
        self._kept.append((key, size))
        self._size += size
        given_up = []
        while self._size > self._limit and len(self._kept) > 1:
            oldest, freed = self._kept.popleft()
            self._size -= freed
            given_up.append(oldest)
        return given_up

    def clear(self) -> None:
        self._kept.clear()
        self._size = 0


class Unkept(dict[int, Any]):
    """Takes what is put in, and has nothing."""

    def __missing__(self, _cell: int) -> list[Any]:
        return []

    def __setitem__(self, _cell: int, _shown: Any) -> None:
        pass


class History(HistoryManager):
    """`%notebook` has code and no outputs; `In` of an old cell is empty."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.outputs = Unkept()
        self.exceptions = Unkept()
        self.output_hist_reprs = Unkept()
        self._cells: Recent[tuple[int, int]] = Recent(MOST_CODE)

    def store_inputs(self, line_num: int, source: str, source_raw: str | None = None) -> None:
        before = len(self.input_hist_raw)
        super().store_inputs(line_num, source, source_raw)
        # They wait for a database, and there is none.
        self.db_input_cache.clear()
        if len(self.input_hist_raw) == before:
            return  # `exit` is no history.
        for index, number in self._cells.add((before, line_num), len(source)):
            self.input_hist_raw[index] = self.input_hist_parsed[index] = ""
            # The second one tells names of users from IPython's, by their values.
            for names in (self.shell.user_ns, self.shell.user_ns_hidden):
                names.pop(f"_i{number}", None)

    def reset(self, new_session: bool = True) -> None:
        """`%reset`."""
        super().reset(new_session)
        if new_session:
            self._cells.clear()


class Compiler(CachingCompiler):
    """A traceback through a function of an old cell has its line number without the line."""

    def __init__(self) -> None:
        super().__init__()
        self._cells: Recent[str] = Recent(MOST_CODE)

    def cache(self, transformed_code: str, number: int = 0, raw_code: str | None = None) -> str:
        name = super().cache(transformed_code, number, raw_code)
        for old in self._cells.add(name, len(transformed_code)):
            linecache.cache.pop(old, None)
        return name


class Forgetful(InteractiveShell):
    """The shell that shell.py builds upon."""

    compiler_class = Type(Compiler)

    def init_history(self) -> None:
        self.history_manager = History(shell=self, parent=self)
        self.configurables.append(self.history_manager)

    def _tee(self, channel: str) -> AbstractContextManager[None]:
        """IPython's would write a copy of all that is printed to `history.outputs`."""
        return nullcontext()

    def _format_exception_for_storage(self, *_exception: Any, **_options: Any) -> dict[str, Any]:
        """IPython's would make the traceback a second time."""
        return {}
