"""Start of the kernel, by the supervisor (forking.py): python -P -s main.py MODULES, channel on descriptor 3.

The package gets a name of its own, so that a user's `kernel.py` can still be imported.
"""

import importlib.util
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
NAME = "_sandbox_kernel"


def main() -> None:
    spec = importlib.util.spec_from_file_location(
        NAME, os.path.join(HERE, "__init__.py"), submodule_search_locations=[HERE]
    )
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = package
    spec.loader.exec_module(package)
    preload = [name for name in sys.argv[1].split(",") if name] if len(sys.argv) > 1 else []
    importlib.import_module(f"{NAME}.serve").serve(preload)


if __name__ == "__main__":
    main()
