"""What IPython shows, as messages to the supervisor: pictures as bytes, everything else as text."""

import base64
import binascii
import os
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher

from . import texts
from .channel import Channel

_MAX_RECEIPTS = 500
"""In one cell; later displays and prints may change places."""
_IMAGES = ("image/png", "image/jpeg")
_TEXTS = ("text/markdown", "text/plain")
_PLOTLY = "application/vnd.plotly.v1+json"


class Outputs:
    """Where the hooks below and figures.py put what they have. Set by serve.py for each cell."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.pid = os.getpid()
        """Of the kernel: processes that user code forked have no pictures to show."""
        self.max_images = 0
        self.max_image_bytes = 0
        self._images = 0
        self.receipts = 0
        """`seen` frames that the supervisor sends, or has sent, during this cell."""

    def begin(self, max_images: int, max_image_bytes: int) -> None:
        self.max_images, self.max_image_bytes, self._images = max_images, max_image_bytes, 0
        self.receipts = 0

    @property
    def images_left(self) -> bool:
        """Whether another picture would be passed on; drawing one that is not is wasted time."""
        return self._images < self.max_images

    def image(self, mime: str, data: bytes, title: str = "", saved_as: str = "") -> None:
        """`title`: what it is called in the picture; `saved_as`: path of the file that this cell saved it to."""
        self._images += 1
        if self._images > self.max_images or len(data) > self.max_image_bytes:
            self.image_dropped(len(data), counted=True)
        elif data:
            named = {"title": _short(title), "saved_as": saved_as}
            header = {"t": "image", "mime": mime, **{key: text for key, text in named.items() if text}}
            self._channel.send_pieces({**header, **self._receipt()}, data)

    def image_dropped(self, size: int, counted: bool = False) -> None:
        self._images += 0 if counted else 1
        self._channel.send({"t": "image_dropped", "bytes": size})

    def text(self, kind: str, text: str) -> None:
        """`kind` is `display` or `result`."""
        data, cut = texts.bounded(texts.without_colours(text), texts.MAX_VALUE)
        header = {"t": kind, "cut": cut} if cut else {"t": kind}
        if kind == "result":
            self._channel.hold(header, data)
        else:
            self._channel.send({**header, **self._receipt()}, data)

    def _receipt(self) -> dict[str, bool]:
        """Asks for a `seen` frame, which streams.py waits for before it lets something be printed."""
        if self.receipts >= _MAX_RECEIPTS:
            return {}
        self.receipts += 1
        return {"ack": True}

    def error(self, name: str, value: str, traceback: str) -> None:
        short, _cut = texts.bounded(value, 4_000)
        data, _cut = texts.bounded(texts.without_colours(traceback), texts.MAX_TRACEBACK)
        self._channel.send({"t": "error", "name": name[:200], "value": short.decode()}, data)

    def value(self, source: str, data: bytes, notes: list[str]) -> None:
        """What the cell gives back, as JSON; `source` is `result` or `expression`."""
        self._channel.send_pieces({"t": "value", "from": source, "notes": notes}, data)

    def value_dropped(self, reason: str) -> None:
        short, _cut = texts.bounded(reason, 1_000)
        self._channel.send({"t": "value_dropped", "reason": short.decode()})

    def bundle(self, kind: str, data: dict[str, Any]) -> None:
        """A MIME bundle: its pictures, or its plain text; a result has both."""
        # An object may offer the same picture in several formats.
        shown = any(self._picture(mime, data[mime]) for mime in _IMAGES if mime in data)
        if not shown and _PLOTLY in data:
            picture = _plotly_png(data[_PLOTLY])
            if picture is None:
                self.text(kind, "Plotly figure (no picture could be made of it; write_html saves it as a file)")
                return
            self.image("image/png", picture, _plotly_title(data[_PLOTLY]))
            return
        text = next((data[mime] for mime in _TEXTS if isinstance(data.get(mime), str)), None)
        if text is not None and (kind == "result" or not shown):
            self.text(kind, text)

    def _picture(self, mime: str, content: Any) -> bool:
        if isinstance(content, str):
            try:
                content = base64.b64decode(content)
            except (binascii.Error, ValueError):
                return False
        if not isinstance(content, bytes) or not content:
            return False
        self.image(mime, content)
        return True


def _short(title: str) -> str:
    return texts.encode(" ".join(title.split())[:200]).decode()


def _plotly_title(figure: Any) -> str:
    try:
        title = figure["layout"]["title"]
        return str(title["text"] if isinstance(title, dict) else title)
    except (KeyError, TypeError):
        return ""


def _plotly_png(figure: Any) -> bytes | None:
    try:
        import plotly.io

        data = plotly.io.to_image(figure, format="png")
    except Exception:
        return None
    return data if isinstance(data, bytes) else None


class ResultHook(DisplayHook):
    """The last expression of a cell. `outputs` is put there by shell.py."""

    outputs: Outputs

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: dict[str, Any], md_dict: Any = None) -> None:
        self.outputs.bundle("result", format_dict)

    def finish_displayhook(self) -> None:
        self._is_active = False


class Publisher(DisplayPublisher):
    """display() and everything that publishes MIME bundles."""

    outputs: Outputs

    def publish(self, data: dict[str, Any], *_arguments: Any, **_options: Any) -> None:
        self.outputs.bundle("display", data)

    def clear_output(self, wait: bool = False) -> None:
        """What was streamed cannot be taken back."""
