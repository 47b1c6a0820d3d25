"""What users run first, run before anybody waits: on `configure`, where the host asks for it.

The first cell, the first picture, the first table and the first exception each load and compile a lot that the
next one finds done. Nothing of them is left but that.
"""

import linecache
import sys
from collections.abc import Iterator
from typing import Any

_FIGURE = "matplotlib.pyplot"
_PROGRAMS = (
    (None, "print(1)\n1 + 1"),
    ("pandas", "import pandas\npandas.DataFrame({'number': [1.5, 2.5], 'text': ['a', 'b']})"),
    (_FIGURE, "import matplotlib.pyplot as plt\nplt.figure(figsize=(1, 1), dpi=30)\nplt.plot([0, 1], label='a')\nplt.title('a')\nplt.legend()\nplt.show()"),
    # Last: the error of a program in the middle would hide what is after it.
    (None, "def divide():\n    return 1 / 0\ndivide()"),
)
_LIMITS = {"id": 0, "max_images": 1, "max_image_bytes": 1 << 20, "returns": "none", "inputs_from": {}, "dataframes": {}}


def programs() -> Iterator[tuple[dict[str, Any], str]]:
    """Header and code of each, as `execute` has them; of modules that nobody asked for there is none."""
    for module, code in _PROGRAMS:
        if module is None or module in sys.modules:
            yield dict(_LIMITS), code


def forget(shell: Any, known: frozenset[str]) -> None:
    """As if no cell had run. `known`: keys of linecache from before."""
    shell.reset(new_session=True, aggressive=False)
    for name in set(linecache.cache) - known:
        if name.startswith("<"):
            del linecache.cache[name]
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        if hasattr(sys, name):
            delattr(sys, name)
