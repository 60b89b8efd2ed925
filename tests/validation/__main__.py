"""Makes the numbers of docs/validation.md: `python -m tests.validation` prints its tables, in about a minute."""

import sys

import jax

from tests.validation.tables import TABLES, text

if __name__ == "__main__":
    with jax.enable_x64(True):
        for title, rows in TABLES.items():
            sys.stdout.write(f"## {title}\n\n| known | source | run | found |\n|---|---|---|---|\n")
            for row in rows:
                sys.stdout.write(f"{text(row)} {row.measured()} |\n")
                sys.stdout.flush()
            sys.stdout.write("\n")
