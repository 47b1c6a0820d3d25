"""Fresh randomness: a kernel may be a copy of another one, made after its generators were seeded."""

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
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.seed()
