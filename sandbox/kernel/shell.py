"""IPython's InteractiveShell, in this process, with its output going to the supervisor."""

import sys
import warnings
from typing import Any, NoReturn

import IPython
from traitlets import Type
from traitlets.config import Config

from . import texts
from .displays import Outputs, Publisher, ResultHook
from .history import Forgetful

_FORMATS = ["text/plain", "text/markdown", "image/png", "image/jpeg"]


class Shell(Forgetful):
    displayhook_class = Type(ResultHook)
    display_pub_class = Type(Publisher)
    outputs: Outputs

    # Child processes write to our own descriptors; a pseudo terminal would only add colours.
    system = Forgetful.system_raw

    def enable_gui(self, gui: Any = None) -> None:
        pass

    def enable_matplotlib(self, gui: Any = None) -> tuple[Any, Any]:
        """%matplotlib anything: figures are shown our way."""
        from . import figures

        figures.install(self, self.outputs)
        return "inline", figures.BACKEND

    def enable_pylab(self, gui: Any = None, import_all: bool = True, welcome_message: bool = False) -> Any:
        gui, backend = self.enable_matplotlib(gui)
        return gui, backend, set()

    def ask_exit(self) -> NoReturn:
        """exit and quit as bare names."""
        raise SystemExit

    def debugger(self, force: bool = False) -> None:
        """%debug, %pdb"""
        print("There is no keyboard here, so there is no debugger.", file=sys.stderr)

    def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
        name = getattr(etype, "__name__", str(etype))
        self.outputs.error(name, _text_of(evalue), self.InteractiveTB.stb2text(stb))

    def show_usage_error(self, exc: Any) -> None:
        """A magic called in a wrong way."""
        self.outputs.error("UsageError", _text_of(exc), f"UsageError: {_text_of(exc)}")


def _text_of(value: Any) -> str:
    try:
        if isinstance(value, SyntaxError) and value.lineno:
            return f"{value.msg} (line {value.lineno})"
        return str(value)
    except BaseException as error:
        return f"<no text: {type(error).__name__}>"


def make_shell(outputs: Outputs) -> Shell:
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor" if IPython.version_info[0] >= 9 else "NoColor"
    config.InteractiveShell.xmode = "Context"
    config.InteractiveShell.autoindent = False
    config.DisplayFormatter.active_types = _FORMATS
    shell = Shell.instance(config=config)
    shell.outputs = outputs
    shell.displayhook.outputs = outputs
    shell.display_pub.outputs = outputs
    plain = shell.display_formatter.formatters["text/plain"]
    plain.for_type(str, _print_literal)
    plain.for_type(bytes, _print_literal)
    for message in ("To exit: use", "Output cache limit"):
        warnings.filterwarnings("ignore", message=message)
    return shell


def _print_literal(value: Any, printer: Any, _cycle: bool) -> None:
    printer.text(texts.literal(value) if type(value) in (str, bytes) else repr(value))
