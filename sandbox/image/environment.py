"""Lists what can be imported: Python's version and each distribution's name, version and modules."""

import json
import platform
import re
import sys
from importlib.metadata import distributions

# Parts of a distribution that only work beside something that is not here: a desktop, another package.
OPTIONAL = {"easygui", "fugue_dask", "fugue_ray", "fugue_spark", "itables_for_dash"}
# Top-level names that distributions leave by accident; they are nobody's module.
NOISE = {"test", "tests", "testing", "docs", "doc", "examples", "example", "benchmarks", "scripts", "tools", "build", "dist"}


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def modules_of(distribution):
    """Top-level importable names, from the files that were installed."""
    found = set()
    for file in distribution.files or []:
        first = file.parts[0]
        if first.startswith("..") or first.endswith((".dist-info", ".egg-info", ".data", ".libs")):
            continue
        if len(file.parts) > 1:
            if file.suffix in (".py", ".so") or file.name.endswith(".so"):
                found.add(first)
        elif file.suffix == ".py" or file.suffix == ".so":
            found.add(first.split(".")[0])
    return sorted(n for n in found if n.isidentifier() and n not in NOISE | OPTIONAL and n != "__pycache__")


def main():
    packages = {}
    for distribution in distributions():
        name = canonical(distribution.metadata["Name"])
        packages.setdefault(
            name, {"name": name, "version": distribution.version, "modules": modules_of(distribution)}
        )
    listing = {
        "python": platform.python_version(),
        "packages": [packages[name] for name in sorted(packages)],
    }
    json.dump(listing, sys.stdout, indent=1)
    sys.stdout.write("\n")


main()
