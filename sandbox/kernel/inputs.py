"""The values that an execution brings along: bound to names before its code runs.

They come from the host as the text of one JSON object, or lie in files; both are the user's own data, so a
mistake in them is an error of the cell, like one in its code.
"""

import json
import keyword
from collections.abc import Mapping
from typing import Any


class BadInput(ValueError):
    """What is wrong with the inputs, in a sentence."""


def read(text: bytes, files: Mapping[str, str]) -> dict[str, Any]:
    """`files`: name to path of a file that holds JSON."""
    names: dict[str, Any] = _parsed(text, "inputs") if text else {}
    if not isinstance(names, dict):
        raise BadInput("inputs is not a JSON object")
    for name, path in files.items():
        try:
            with open(path, "rb") as file:
                names[name] = _parsed(file.read(), path)
        except OSError as error:
            raise BadInput(f"{name} cannot be read from {path}: {error.strerror}") from None
    for name in names:
        _check(name)
    return names


def frames(names: Mapping[str, Any], wanted: Mapping[str, str]) -> dict[str, Any]:
    """`wanted`: name of a pandas DataFrame to the name of the input with its rows."""
    if not wanted:
        return {}
    import pandas

    made = {}
    for name, source in wanted.items():
        _check(name)
        if source not in names:
            raise BadInput(f"{name} cannot be made: there is no input {source}")
        try:
            made[name] = pandas.DataFrame(names[source])
        except Exception as error:
            raise BadInput(f"{source} is no table that {name} could be made of: {error}") from None
    return made


def _parsed(text: bytes, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where} is not JSON: {error}") from None


def _check(name: str) -> None:
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("__"):
        raise BadInput(f"{name!r} cannot be the name of a variable")
