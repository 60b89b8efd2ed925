"""The tests mirror the package: each file of tests is for the module of its name."""

import os
import sys

from tests import annotation_check as annotation_check  # the check that pytest is told of in pyproject.toml

# Python keeps what it compiles, even if PYTHONDONTWRITEBYTECODE asks it not to: pytest rewrites every file of tests, jaxtyping
# every file of the package. Each worker of pytest did so anew, which was a third of the time in which it collects the tests.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
