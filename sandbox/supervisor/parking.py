"""Parked, the sandbox has no tie to the host, so that gVisor can write it down as an image: a checkpoint.

What goes on afterwards is either this sandbox, because nothing came of it, or one made from the image.
gVisor's guide: g3doc/user_guide/checkpoint_restore.md, "Application-Driven Checkpoint/Restore".
"""

import os
import select

_CHECKPOINT = "/proc/gvisor/checkpoint"
PATIENCE_SECONDS = 30.0
"""After which nobody can be expected to make the image any more."""


class CannotPark(Exception):
    """This sandbox cannot be told when a checkpoint is over."""


class Parking:
    """From its making on, no checkpoint is missed. Use once."""

    def __init__(self) -> None:
        try:
            self._fd = os.open(_CHECKPOINT, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise CannotPark(f"{_CHECKPOINT}: {error.strerror}") from None

    def wait(self) -> bool:
        """Blocks until the checkpoint is over. True in a sandbox that was made from the image.

        Blocks for good reason: what polls, polls in every copy at once.
        """
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        try:
            poll.poll(PATIENCE_SECONDS * 1000)
            os.set_blocking(self._fd, False)
            return os.read(self._fd, 16) == b"restore\n"
        except BlockingIOError:
            return False
        finally:
            os.close(self._fd)
