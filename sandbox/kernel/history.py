"""IPython's memory of what cells showed: none. It would hold every byte printed for as long as the kernel lives.

What users can reach stays: `Out`, `In` and `_`.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from IPython.core.interactiveshell import InteractiveShell


class Unkept(dict[int, Any]):
    """Takes what is put in, and has nothing."""

    def __missing__(self, _cell: int) -> list[Any]:
        return []

    def __setitem__(self, _cell: int, _shown: Any) -> None:
        pass


class Forgetful(InteractiveShell):
    """Keeps no copy of texts, pictures and tracebacks; `%notebook` has code and no outputs."""

    def forget_outputs(self) -> None:
        """Once, when the shell has been made."""
        history = self.history_manager
        if history is not None:
            history.outputs = Unkept()
            history.exceptions = Unkept()
            history.output_hist_reprs = Unkept()

    def _tee(self, channel: str) -> AbstractContextManager[None]:
        """IPython's would write a copy of all that is printed to `history.outputs`."""
        return nullcontext()

    def _format_exception_for_storage(self, *_exception: Any, **_options: Any) -> dict[str, Any]:
        """IPython's would make the traceback a second time."""
        return {}
