"""The numbers of an `execute` request, checked. Pure."""

from dataclasses import dataclass, fields

from .files.failures import Refused
from .frames import Header

_BOUNDS = {
    "timeout_ms": (1, 86_400_000),
    "grace_ms": (0, 60_000),
    "max_output_bytes": (1_024, 67_108_864),
    "max_images": (0, 1_000),
    "max_image_bytes": (0, 104_857_600),
    "max_value_bytes": (1, 67_108_864),
}


@dataclass(frozen=True)
class Limits:
    timeout_ms: int = 120_000
    grace_ms: int = 2_000
    max_output_bytes: int = 1_048_576
    max_images: int = 20
    max_image_bytes: int = 10_485_760
    max_value_bytes: int = 8_388_608


def whole_number(name: str, value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise Refused("bad_request", f"{name} is a whole number from {low} to {high}")
    return value


def read_limits(request: Header) -> Limits:
    given = {field.name: request[field.name] for field in fields(Limits) if request.get(field.name) is not None}
    return Limits(**{name: whole_number(name, value, *_BOUNDS[name]) for name, value in given.items()})
