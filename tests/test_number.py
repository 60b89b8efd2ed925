"""Numbers as text."""

import math

import numpy as np
import pytest

from jaxsgd.number import (
    between,
    duration,
    in_powers,
    plain_decimals,
    plain_number,
    short_number,
    size,
    three_digits,
    to_decimals,
    value_text,
    with_reach,
)

MINUS = "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (10, "10"), (0.001, "0.001"), (1e-4, "10⁻⁴"), (3.2e-4, "3.2 \N{MULTIPLICATION SIGN} 10⁻⁴"), (0.0316227, "0.0316"),
        (1.0, "1"), (1000.0, "1000"), ("adam", "adam"), ("package.module:schedule", "schedule"),
        (np.float64(0.5), "0.5"), (np.int64(3), "3"),
    ],
)  # fmt: skip
def test_values_of_axes_in_few_letters(value, text):
    assert value_text(value) == text


@pytest.mark.parametrize(
    ("value", "short", "three"),
    [
        (0.05, "0.05", "0.0500"), (1.9, "1.9", "1.90"), (-2e-5, f"{MINUS}2e{MINUS}5", f"{MINUS}2e{MINUS}5"), (0.0, "0", "0.00"),
        (3.04e35, "3.04e35", "3.04e35"), (250.0, "250", "250"), (12.34, "12.34", "12.3"), (0.1 + 0.2, "0.3", "0.300"),
    ],
)  # fmt: skip
def test_numbers_in_few_letters(value, short, three):
    assert (short_number(value), three_digits(value)) == (short, three)


@pytest.mark.parametrize(
    ("value", "text"),
    [(-2.6e-4, "-2.6 x 10⁻⁴"), (0.25, "0.25"), (0.0, "0"), (12345.0, "1.2 x 10⁴"), (3.1e-12, "3.1 x 10⁻¹²")],
)
def test_numbers_with_powers_of_ten(value, text):
    assert in_powers(value) == text.replace("-", "\N{MINUS SIGN}").replace("x", "\N{MULTIPLICATION SIGN}")


@pytest.mark.parametrize(("index", "text"), [(-0.004, "0.00"), (0.999, "1.00"), (-0.06, "\N{MINUS SIGN}0.06")])
def test_rounding_to_nothing_leaves_no_minus(index, text):
    assert to_decimals(index, 2) == text
    assert plain_decimals(index, 2) == text.replace(MINUS, "-")


@pytest.mark.parametrize(
    ("value", "reach", "text"),
    [
        # Two digits of the half width decide how many of the difference are written.
        (-0.0197, 0.00204, f"{MINUS}0.0197 \N{PLUS-MINUS SIGN} 0.0020"), (0.1351, 0.0142, "+0.135 \N{PLUS-MINUS SIGN} 0.014"),
        (1234.0, 56.7, "+1234 \N{PLUS-MINUS SIGN} 57"), (2e-7, 1e-8, f"+2e{MINUS}7 \N{PLUS-MINUS SIGN} 1e{MINUS}8"),
    ],
)  # fmt: skip
def test_a_difference_has_the_digits_that_its_interval_leaves(value, reach, text):
    assert with_reach(value, reach) == text


def test_plain_numbers_and_intervals():
    assert [plain_number(value) for value in (0.12345, math.nan, math.inf, "adam")] == ["0.123", "-", "inf", "adam"]
    assert between(1.2345, 1.2399) == "1.23 to 1.24"
    # To three digits both ends are 1.23.
    assert between(1.2312, 1.2345) == "1.231 to 1.234"
    assert between(math.nan, 1.0) == ""


def test_times_and_sizes_in_words():
    assert [duration(seconds) for seconds in (41.6, 89.0, 90.0, 3600.0, 12600.0)] == [
        "42 s",
        "89 s",
        "2 min",
        "60 min",
        "3.5 h",
    ]
    assert [size(count) for count in (1023.0, 1024.0, 12.0 * 2**20, 3.25 * 2**30)] == [
        "1,023 bytes",
        "1.0 KiB",
        "12 MiB",
        "3.2 GiB",
    ]
