"""What of a lock still has to be fetched: `missing_wheels.py requirements.lock WHEELS PARTS COUNT`.

Writes up to COUNT lock files of about the same number of packages into PARTS. Files in WHEELS that
the lock does not know (of an earlier lock, or cut short) are removed.
"""

import hashlib
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def entries(lock):
    """One text for each package of the lock, with its hashes."""
    with open(lock, encoding="utf-8") as file:
        text = re.sub(r"^#.*\n", "", file.read(), flags=re.MULTILINE)
    return [entry for entry in re.split(r"\n(?=\S)", text) if entry.strip()]


def main(lock, wheels, parts, count):
    packages = entries(lock)
    known = {found: index for index, entry in enumerate(packages) for found in re.findall(r"sha256:([0-9a-f]{64})", entry)}
    paths = [os.path.join(wheels, name) for name in os.listdir(wheels)]
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(digest, paths))
    present = set()
    for path, found in zip(paths, digests):
        if found in known:
            present.add(known[found])
        else:
            os.remove(path)
    missing = [entry for index, entry in enumerate(packages) if index not in present]
    for part in range(min(int(count), len(missing))):
        with open(os.path.join(parts, f"{part}.lock"), "w", encoding="utf-8") as file:
            file.write("\n".join(missing[part :: int(count)]) + "\n")


main(*sys.argv[1:])
