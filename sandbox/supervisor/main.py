"""Start of the supervisor: `python3 -I /opt/sandbox/supervisor/main.py [--option value]…`, see options.py.

Isolated mode keeps the working directory and the environment out of what is imported; the one
directory added here belongs to the image.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from supervisor import privileges  # noqa: E402
from supervisor.faults import report  # noqa: E402
from supervisor.loop import Loop  # noqa: E402
from supervisor.options import BadOption, read_options  # noqa: E402
from supervisor.service import Service, ending_signals  # noqa: E402


def main() -> int:
    try:
        options = read_options(sys.argv[1:], os.environ)
    except BadOption as error:
        report(str(error))
        return 64
    os.umask(0o077)
    _let_go_of_standard_streams()
    privileges.hide_from_users()
    privileges.adopt_orphans()
    loop = Loop()
    service = Service(loop, options)
    loop.on_signals(ending_signals(service))
    service.kernel.start()
    service.listen(options.socket)
    loop.run()
    return 0


def _let_go_of_standard_streams() -> None:
    """Only stderr, for faults, stays the host's: user code can follow /proc/1/fd/0 under gVisor."""
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)


if __name__ == "__main__":
    sys.exit(main())
