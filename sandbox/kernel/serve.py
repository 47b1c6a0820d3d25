"""The kernel's life: get ready, then run what the supervisor sends, one cell after the other."""

import contextlib
import faulthandler
import importlib
import linecache
import os
import site
import sys
from collections.abc import Sequence
from typing import Any

from . import inputs, warmup
from .channel import Channel, Header
from .imports import when_imported
from .interrupts import Interrupts
from .streams import Streams


def serve(preload: Sequence[str]) -> None:
    """`preload`: modules to import before the kernel is ready."""
    interrupts = Interrupts()
    interrupts.install()
    channel = Channel(3, interrupts)
    kernel = Kernel(channel, interrupts, preload)
    channel.send({"t": "ready"})
    pid = os.getpid()
    while os.getpid() == pid:
        try:
            header, payload = channel.receive()
        except (EOFError, OSError):
            os._exit(0)
        kernel.handle(header, payload)
    # A child forked by user code came to the end of its cell.
    os._exit(0)


class Kernel:
    def __init__(self, channel: Channel, interrupts: Interrupts, preload: Sequence[str]) -> None:
        from .displays import Outputs
        from .shell import make_shell

        faulthandler.enable(file=2)
        self._pieces: list[bytes] = []
        """Of a program that is longer than a frame, but for its end."""
        self._channel = channel
        self._interrupts = interrupts
        self._outputs = outputs = Outputs(channel)
        self._streams = Streams(lambda: outputs.receipts > 0 and not channel.seen(outputs.receipts))
        self._shell = make_shell(self._outputs)
        when_imported("matplotlib", self._install_figures)
        self._preload(preload)
        self._open_user_paths()

    def handle(self, header: Header, payload: bytes) -> None:
        match header.get("t"):
            case "code":
                self._pieces.append(payload)
            case "execute":
                program, self._pieces = b"".join((*self._pieces, payload)), []
                length = len(program) - header.get("inputs_bytes", 0)
                # Editors put a byte order mark there; Python allows it in files only.
                code = program[:length].decode("utf-8", "replace").removeprefix("\ufeff")
                self._execute(header, code, program[length:])
            case "configure":
                self._configure(header["warm_up"])

    def _execute(self, header: Header, code: str, given: bytes) -> None:
        from . import nobody

        pid = os.getpid()
        nobody.install()
        self._streams.begin()
        self._outputs.begin(header["max_images"], header["max_image_bytes"])
        try:
            self._run(header, code, given)
        finally:
            if os.getpid() != pid:
                self._streams.end()
                os._exit(0)
        self._streams.end()
        self._channel.send({"t": "done", "id": header["id"]})
        # Nobody waits for this.
        self._streams.restore()

    def _run(self, header: Header, code: str, given: bytes) -> None:
        """The interrupt may come at any point, also in IPython's own code or while figures are drawn."""
        try:
            with self._interrupts.executing():
                self._bind(header, given)
                cell = self._cell(header["returns"], code)
                outcome = self._shell.run_cell(code, store_history=True)
                self._end_of_cell()
                if cell is not None and outcome.success:
                    self._give_back(cell.found(outcome.result), header["max_value_bytes"])
        except KeyboardInterrupt:
            self._outputs.error("KeyboardInterrupt", "", "KeyboardInterrupt")
        except BaseException as error:
            name = type(error).__name__
            self._outputs.error(name, str(error), f"{name}: {error}")

    def _bind(self, header: Header, given: bytes) -> None:
        names = inputs.read(given, header["inputs_from"])
        self._shell.user_ns.update({**names, **inputs.frames(names, header["dataframes"])})

    def _cell(self, returns: str, code: str) -> Any:
        if returns == "none":
            return None
        from .returns import Cell

        try:
            source = self._shell.transform_cell(code)
        except SyntaxError:
            source = ""
        return Cell(returns, source, self._shell.user_ns)

    def _give_back(self, found: Any, limit: int) -> None:
        if found is None:
            return
        from .values import TooLarge, Unfit, to_json

        try:
            converted = to_json(found.value, found.source, limit, found.strict)
        except Unfit as reason:
            # The last line of a program need not be meant as its result.
            if not found.strict or isinstance(reason, TooLarge):
                self._outputs.value_dropped(str(reason))
        except Exception as error:
            self._outputs.value_dropped(f"{found.source} could not be looked at: {type(error).__name__}: {error}")
        else:
            self._outputs.value(found.source, converted.data, converted.notes)

    def _end_of_cell(self) -> None:
        figures = sys.modules.get(f"{__package__}.figures")
        if figures is None:
            return
        try:
            figures.end_of_cell()
        except Exception:
            self._shell.showtraceback()

    def _configure(self, warm_up: bool) -> None:
        from .seeding import reseed

        if warm_up:
            self._warm_up()
        reseed()
        self._channel.send({"t": "configured"})

    def _preload(self, names: Sequence[str]) -> None:
        """The slow imports, before anybody waits. None of them has to be installed, or to work."""
        for name in names:
            try:
                importlib.import_module(name)
            except (Exception, SystemExit) as error:
                print(f"kernel: {name} was not imported: {error!r}", file=sys.__stderr__)

    def _warm_up(self) -> None:
        """What it takes to be quick; a kernel that cannot do it is slower at first, and no worse."""
        known = frozenset(linecache.cache)
        try:
            with self._channel.muted():
                for header, code in warmup.programs():
                    self._execute(header, code, b"")
            warmup.forget(self._shell, known)
        except Exception as error:
            print(f"kernel: the warm-up failed: {error!r}", file=sys.__stderr__)

    def _install_figures(self) -> None:
        # A user's own package of that name has no figures that we know.
        with contextlib.suppress(Exception):
            figures: Any = importlib.import_module(f"{__package__}.figures")
            figures.install(self._shell, self._outputs)

    def _open_user_paths(self) -> None:
        """Only now may a user's own modules be found: none of them can stand in for one of ours."""
        sys.path.insert(0, "")
        sys.path.append(site.getusersitepackages())
        sys.argv = [""]
