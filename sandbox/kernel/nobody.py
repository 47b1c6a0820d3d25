"""There is nobody at a keyboard: whatever would wait for one fails at once and says why."""

import builtins
import getpass
import sys
from typing import Any, NoReturn

from IPython.core.error import StdinNotImplementedError


def _refuse(*_arguments: Any, **_options: Any) -> NoReturn:
    __tracebackhide__ = True
    raise StdinNotImplementedError(
        "There is no keyboard here: input(), getpass() and debuggers cannot ask. Put the value into the code."
    )


def install() -> None:
    """Called by serve.py before each cell."""
    builtins.input = _refuse
    getpass.getpass = _refuse
    sys.breakpointhook = _refuse
    pdb = sys.modules.get("pdb")
    if pdb is not None:
        pdb.set_trace = _refuse  # type: ignore[attr-defined]
        pdb.post_mortem = _refuse  # type: ignore[attr-defined]
