"""Writes requirements.lock from a resolution: `lock.py pylock.toml sdists.txt > requirements.lock`.

Keeps the hashes of the files that a Debian image can take, and nothing else: no
address of an index, no file of another system.
"""

import re
import sys
import tomllib

PYTHON = "313"
FITS = re.compile(
    r"-(?:py2\.py3|py3\.py2|py3|py" + PYTHON + r"|cp3\d+)-(?:none|abi3|cp" + PYTHON + r")-"
    r"(?:any|[^-]*(?:manylinux|linux)[^-]*_(?:x86_64|aarch64)[^-]*)\.whl$"
)


def hashes(package, from_source):
    if from_source:
        return [package["sdist"]["hashes"]["sha256"]]
    wheels = package.get("wheels", [])
    return [w["hashes"]["sha256"] for w in wheels if FITS.search(w.get("name") or w["url"].rsplit("/", 1)[-1])]


def main(resolution, sdists):
    with open(sdists, encoding="utf-8") as file:
        source_only = {line.strip() for line in file if line.strip() and not line.startswith("#")}
    with open(resolution, "rb") as file:
        packages = tomllib.load(file)["packages"]
    print("# Made by `scripts/image lock` from requirements.in. Do not edit.")
    for package in sorted(packages, key=lambda p: p["name"]):
        found = sorted(set(hashes(package, package["name"] in source_only)))
        if not found:
            sys.exit(f"{package['name']} has no wheel for this image")
        print(" \\\n".join([f"{package['name']}=={package['version']}", *(f"    --hash=sha256:{h}" for h in found)]))


main(*sys.argv[1:])
