"""Our matplotlib backend: Agg, whose show() hands each figure over once as PNG and closes it.

Also what a notebook does at the end of a cell: figures that are still open are shown then, but for those
that the cell has saved: they are in a file already. The
module is its own backend (`module://_sandbox_kernel.figures`), so it has the names pyplot looks for.
"""

import functools
import io
import logging
import os
import sys
import weakref
from typing import Any

from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .displays import Outputs

BACKEND = f"module://{__name__}"
_outputs: Outputs | None = None
_shown: set[int] = set()
"""ids of open figures that this cell displayed explicitly."""
_saved: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
"""Figures that this cell saved, and the last path of each."""


class FigureManager(FigureManagerBase):
    def show(self) -> None:
        """fig.show()"""
        _hand_over(self)

    @classmethod
    def pyplot_show(cls, **_options: Any) -> None:
        """plt.show()"""
        show()


class FigureCanvas(FigureCanvasAgg):
    manager_class = FigureManager  # type: ignore[assignment]


def show(*_arguments: Any, **_options: Any) -> None:
    """All open figures, in order."""
    from matplotlib._pylab_helpers import Gcf

    for manager in Gcf.get_all_fig_managers():
        _hand_over(manager)


def _hand_over(manager: Any) -> None:
    from matplotlib._pylab_helpers import Gcf

    figure = manager.canvas.figure
    try:
        if id(figure) not in _shown and _outputs is not None and os.getpid() == _outputs.pid:
            _emit(figure)
    finally:
        Gcf.destroy(manager)
        _shown.discard(id(figure))


def _emit(figure: Any) -> None:
    assert _outputs is not None
    if not figure.axes and not figure.texts and not figure.images and not figure.lines:
        return
    if _outputs.images_left:
        _outputs.image("image/png", png(figure), title_of(figure), _saved.get(figure, ""))
    else:
        _outputs.image_dropped(0)


def title_of(figure: Any) -> str:
    """Of the figure, or else of the first of its axes that has one."""
    titles = [figure.get_suptitle(), *(axes.get_title(place) for axes in figure.axes for place in ("center", "left", "right"))]
    return next((title for title in titles if isinstance(title, str) and title.strip()), "")


def png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    canvas = figure.canvas if isinstance(figure.canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)
    canvas.print_figure(buffer, format="png", bbox_inches="tight", facecolor=figure.get_facecolor())
    return buffer.getvalue()


def _displayed(figure: Any) -> bytes:
    """display(fig), or fig as the last expression."""
    _shown.add(id(figure))
    return png(figure)


def install(shell: Any, outputs: Outputs) -> None:
    """Called by serve.py when matplotlib is imported, and by %matplotlib. Figures of forked processes go nowhere."""
    global _outputs
    import matplotlib

    _outputs = outputs
    # Also for code that asks for plain Agg, as much code for servers does.
    FigureCanvasAgg.manager_class = FigureManager  # type: ignore[assignment]
    matplotlib.use(BACKEND)
    # Fallback fonts lack some weights; that is no news for whoever draws a bold title.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    if not hasattr(Figure.savefig, "__wrapped__"):
        Figure.savefig = _noting(Figure.savefig)  # type: ignore[method-assign]
    formatter = shell.display_formatter.formatters["image/png"]
    formatter.for_type_by_name("matplotlib.figure", "Figure", _displayed)


def _noting(savefig: Any) -> Any:
    """`savefig`, and the path is remembered until the cell ends."""

    @functools.wraps(savefig)
    def noting(self: Any, fname: Any, *arguments: Any, **options: Any) -> Any:
        value = savefig(self, fname, *arguments, **options)
        if isinstance(fname, (str, os.PathLike)):
            path = os.path.abspath(os.fsdecode(fname))
            has_format = os.path.splitext(path)[1] != "" or options.get("format")
            _saved[self] = path if has_format else f"{path}.{self.canvas.get_default_filetype()}"
        return value

    return noting


def end_of_cell() -> None:
    """Shows what is still open and was not saved, whatever backend user code has chosen."""
    if _outputs is not None and "matplotlib.pyplot" in sys.modules:
        from matplotlib._pylab_helpers import Gcf

        for manager in Gcf.get_all_fig_managers():
            if manager.canvas.figure in _saved:
                Gcf.destroy(manager)
            else:
                _hand_over(manager)
    _shown.clear()
    _saved.clear()
