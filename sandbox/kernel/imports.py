"""Something to be done when a module is imported for the first time."""

import contextlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


def when_imported(name: str, action: Callable[[], None]) -> None:
    """Calls `action` when `name` has been imported, before its importer goes on; again when that import failed."""
    sys.meta_path.insert(0, _Finder(name, action))


class _Finder(MetaPathFinder):
    def __init__(self, name: str, action: Callable[[], None]) -> None:
        self._name = name
        self._action = action
        self._here = threading.local()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Of that module only: as the others find it, with the action after its own code. Looking alone does nothing."""
        if fullname != self._name or getattr(self._here, "looks", False):
            return None
        self._here.looks = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._here.looks = False
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_act(module: ModuleType) -> None:
            execute(module)
            self._action()
            with contextlib.suppress(ValueError):
                sys.meta_path.remove(self)

        spec.loader.exec_module = execute_and_act  # type: ignore[method-assign]
        return spec
