"""Our matplotlib backend: Agg, whose show() hands each figure over once as PNG and closes it.

Also what a notebook does at the end of a cell: figures that are still open are shown then. The
module is its own backend (`module://_sandbox_kernel.figures`), so it has the names pyplot looks for.
"""

import io
import logging
import os
import sys
from typing import Any

from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

from .displays import Outputs

BACKEND = f"module://{__name__}"
_outputs: Outputs | None = None
_shown: set[int] = set()
"""ids of open figures that this cell displayed explicitly."""


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
        _outputs.image("image/png", png(figure))
    else:
        _outputs.image_dropped(0)


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
    formatter = shell.display_formatter.formatters["image/png"]
    formatter.for_type_by_name("matplotlib.figure", "Figure", _displayed)


def end_of_cell() -> None:
    """Shows what is still open, whatever backend user code has chosen."""
    if _outputs is not None and "matplotlib.pyplot" in sys.modules:
        show()
    _shown.clear()
