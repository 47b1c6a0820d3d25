"""Fresh randomness: a kernel may be a copy of another one, made after its generators were seeded.

What cannot be changed in a running Python, and is the same in all copies: the seed of str hashes (PYTHONHASHSEED) and
the addresses that the kernel's memory lies at.
"""

import os
import random
import sys
import tempfile
import uuid


def reseed() -> None:
    """Called by serve.py on `configure`. os.urandom is different in each copy; all else follows it."""
    random.seed(os.urandom(32))
    tempfile._name_sequence = None  # type: ignore[attr-defined]
    uuid._node = None  # type: ignore[attr-defined]
    uuid._last_timestamp = None  # type: ignore[attr-defined]
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed([int.from_bytes(os.urandom(4), "little") for _ in range(8)])
    ssl = sys.modules.get("ssl")
    if ssl is not None:
        # OpenSSL keeps a generator of its own, and notices forks, but no copies.
        ssl.RAND_add(os.urandom(32), 32.0)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.seed()
