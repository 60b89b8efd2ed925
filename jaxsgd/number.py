"""Numbers as text: for figures, with a true minus sign and raised powers of ten; for tables and messages, in plain letters."""

import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

LOG_FROM = 20
"""Largest over smallest value from which an axis or a scale of colours is logarithmic."""

MINUS, TIMES, PLUS_MINUS = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}", "\N{PLUS-MINUS SIGN}"
RAISED = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")


def is_log(low: float, high: float) -> bool:
    """Return True if values from `low` to `high` are drawn on a logarithmic scale."""
    return bool(low > 0 and high >= LOG_FROM * low)


def plain_values(value: Any, not_finite: Callable[[float], Any]) -> Any:
    """Return nested dicts, lists, arrays and numbers as JSON has them.

    Args:
      value: the values.
      not_finite: gives what stands for a number that is not finite, which JSON does not have.
    """
    if isinstance(value, Mapping):
        return {str(key): plain_values(inner, not_finite) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_values(inner, not_finite) for inner in value]
    if hasattr(value, "tolist"):
        return plain_values(value.tolist(), not_finite)
    return not_finite(value) if isinstance(value, float) and not math.isfinite(value) else value


def true_minus(text: str) -> str:
    """Return a number's text with a true minus sign in place of each hyphen."""
    return text.replace("-", MINUS)


def plain_decimals(value: float, decimals: int) -> str:
    """Return a number to so many decimals; to two of them, -0.004 is 0.00, for it is no less than nothing."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def to_decimals(value: float, decimals: int) -> str:
    """Return the same for a figure, with a true minus sign."""
    return true_minus(plain_decimals(value, decimals))


def short_number(value: float, digits: int = 6) -> str:
    """Return a number in few letters: 0.05, 2e-5 with a true minus sign."""
    text = f"{float(f'{value:.{digits}g}'):g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
    return true_minus(text)


def three_digits(value: float) -> str:
    """Return a number to three digits, its zeros kept: 1.90."""
    if value != 0 and not 1e-3 <= abs(value) < 1e4:
        return short_number(value, 3)
    return true_minus((f"{value:#.3g}" if abs(value) < 1000 else f"{value:.0f}").rstrip("."))


def in_powers(value: float) -> str:
    """Return a number to two digits: plain from 0.01 to 1000, and otherwise with a power of ten, as in -2.6 x 10^-4."""
    if value == 0 or 0.01 <= abs(value) < 1000:
        return true_minus(f"{value:.2g}")
    digits, power = f"{value:.1e}".split("e")
    return true_minus(f"{digits} {TIMES} 10{str(int(power)).translate(RAISED)}")


def with_reach(value: float, reach: float) -> str:
    """Return a difference with the half width of its interval, both to two digits of the latter: -0.0197 +- 0.0020."""
    sign = "+" if value > 0 else ""
    if not 1e-5 <= reach < 1e4:
        return f"{sign}{three_digits(value)} {PLUS_MINUS} {short_number(reach, 2)}"
    decimals = max(0, 1 - math.floor(math.log10(reach)))
    return true_minus(f"{sign}{value:.{decimals}f} {PLUS_MINUS} {reach:.{decimals}f}")


def value_text(value: Any) -> str:
    """Return a value of an axis in few letters: "0.001", "10^-4" with the power raised, "adam"."""
    if isinstance(value, bool) or not isinstance(value, Real):
        # What a pointer "package.module:attribute" points at says enough.
        return str(value).rpartition(":")[2]
    if isinstance(value, Integral):
        return str(value)
    value = float(value)
    if value == 0 or 0.001 <= abs(value) < 10000:
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return in_powers(value).removeprefix(f"1.0 {TIMES} ")


def plain_number(value: int | float | str, digits: int = 3) -> str:
    """Return a number in plain letters; "-" for NaN. A text stays as it is."""
    if isinstance(value, str):
        return value
    return "-" if math.isnan(value) else f"{value:.{digits}g}" if not math.isinf(value) else "inf"


def between(low: int | float, high: int | float, digits: int = 3) -> str:
    """Return an interval in plain letters, "1.2 to 1.5"; "" without one."""
    if math.isnan(low) or math.isnan(high):
        return ""
    # More digits if the ends would look the same.
    ends = [(plain_number(low, more), plain_number(high, more)) for more in range(digits, digits + 4)]
    return " to ".join(next((pair for pair in ends if pair[0] != pair[1]), ends[0]))


def duration(seconds: int | float) -> str:
    """Return a time in words, to about two digits: "42 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def size(count: int | float) -> str:
    """Return a number of bytes in words."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:,.0f} {unit}" if unit == "bytes" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError("the last unit has no upper limit")
