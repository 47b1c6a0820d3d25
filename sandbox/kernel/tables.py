"""How values of numpy, pandas, polars and pyarrow become plain ones. None of them is imported here.

`values.py` asks by the first part of the module that a type comes from; a library of that name which the user
wrote has none of these types, and then its values are UNKNOWN.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .values import Conversion

UNKNOWN = object()
"""Not a value of that library that we know."""


@dataclass(frozen=True)
class Library:
    name: str
    convert: Callable[["Conversion", Any], Any]


def _numpy(conversion: "Conversion", value: Any) -> Any:
    numpy: Any = sys.modules["numpy"]
    if isinstance(value, numpy.ndarray):
        return _array(conversion, numpy, value)
    if isinstance(value, (numpy.datetime64, numpy.timedelta64)):
        return conversion.plain(_moment(numpy, value))
    if isinstance(value, numpy.floating):
        return conversion.real(float(value))
    if isinstance(value, numpy.void) and value.dtype.names:
        return conversion.mapping({name: value[name] for name in value.dtype.names})
    if isinstance(value, (numpy.bool_, numpy.integer, numpy.str_, numpy.bytes_)):
        return conversion.plain(value.item())
    return UNKNOWN


def _array(conversion: "Conversion", numpy: Any, value: Any) -> Any:
    if value.ndim == 0:
        return conversion.plain(value[()])
    conversion.take(2 * value.size)
    if value.ndim > 1 or value.dtype.names:
        return conversion.sequence(list(value))
    return conversion.column(None, _list(numpy, value))


def _list(numpy: Any, value: Any) -> list[Any]:
    """One dimension as Python's own values; nanoseconds as text, not as a number of them."""
    if value.dtype.kind in "mM":
        return [_moment(numpy, each) for each in value]
    listed: list[Any] = value.tolist()
    return listed


def _moment(numpy: Any, value: Any) -> str | None:
    return None if numpy.isnat(value) else str(value)


def _pandas(conversion: "Conversion", value: Any) -> Any:
    pandas: Any = sys.modules["pandas"]
    if value is pandas.NaT or value is pandas.NA:
        return None
    if isinstance(value, pandas.DataFrame):
        return _frame(conversion, pandas, value)
    if isinstance(value, pandas.Series):
        return _series(conversion, pandas, value)
    if isinstance(value, (pandas.Index, pandas.api.extensions.ExtensionArray)):
        return conversion.column(None, list(value))
    if isinstance(value, (pandas.Timedelta, pandas.Period, pandas.Interval)):
        return conversion.text(str(value))
    return UNKNOWN


def _is_position(pandas: Any, index: Any) -> bool:
    """Whether the labels only say where a row was: they are no data of the user."""
    if isinstance(index, pandas.MultiIndex) or index.name is not None:
        return False
    return isinstance(index, pandas.RangeIndex) or index.dtype.kind in "iu"


def _frame(conversion: "Conversion", pandas: Any, frame: Any) -> Any:
    conversion.take(2 * frame.shape[0] * frame.shape[1])
    columns, series = list(frame.columns), [frame.iloc[:, at] for at in range(frame.shape[1])]
    if not _is_position(pandas, frame.index):
        labels = [frame.index.get_level_values(level) for level in range(frame.index.nlevels)]
        names = [_label(name, at, frame.index.nlevels) for at, name in enumerate(frame.index.names)]
        columns = [*names, *columns]
        series = [*labels, *series]
    if not columns:
        return [{} for _row in range(frame.shape[0])]
    return conversion.rows(
        columns, [conversion.column(name, each.tolist()) for name, each in zip(columns, series, strict=True)]
    )


def _label(name: Any, at: int, levels: int) -> Any:
    if name is not None:
        return name
    return "index" if levels == 1 else f"level_{at}"


def _series(conversion: "Conversion", pandas: Any, series: Any) -> Any:
    conversion.take(2 * len(series))
    if _is_position(pandas, series.index):
        return conversion.column(None, series.tolist())
    if not series.index.is_unique:
        # As an object it would lose all but one value of a label.
        named = series.rename("value" if series.name is None else series.name)
        return _frame(conversion, pandas, named.to_frame())
    values = conversion.column(None, series.tolist())
    return conversion.mapping(dict(zip(series.index, values, strict=True)))


def _polars(conversion: "Conversion", value: Any) -> Any:
    polars: Any = sys.modules["polars"]
    if isinstance(value, polars.DataFrame):
        conversion.take(2 * value.height * value.width)
        return conversion.rows(
            value.columns, [conversion.column(each.name, each.to_list()) for each in value.get_columns()]
        )
    if isinstance(value, polars.Series):
        return conversion.column(None, value.to_list())
    return UNKNOWN


def _pyarrow(conversion: "Conversion", value: Any) -> Any:
    pyarrow: Any = sys.modules["pyarrow"]
    if isinstance(value, (pyarrow.Table, pyarrow.RecordBatch)):
        conversion.take(2 * value.num_rows * value.num_columns)
        columns = zip(value.column_names, value.columns, strict=True)
        return conversion.rows(
            value.column_names, [conversion.column(name, each.to_pylist()) for name, each in columns]
        )
    if isinstance(value, (pyarrow.Array, pyarrow.ChunkedArray)):
        return conversion.column(None, value.to_pylist())
    if isinstance(value, pyarrow.Scalar):
        return conversion.plain(value.as_py())
    return UNKNOWN


LIBRARIES = {
    library.name: library
    for library in (
        Library("numpy", _numpy),
        Library("pandas", _pandas),
        Library("polars", _polars),
        Library("pyarrow", _pyarrow),
    )
}
