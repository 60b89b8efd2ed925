"""docs/validation.md has the tables that `python -m tests.validation` prints."""

from tests.validation import tables


def test_every_row_stands_under_its_heading(pytestconfig):
    document = (pytestconfig.rootpath / "docs/validation.md").read_text()
    sections = {part.partition("\n")[0]: part for part in document.split("\n## ")[1:]}
    for title, rows in tables.TABLES.items():
        lines = [line for line in sections[title].splitlines() if line.startswith("| ")]
        assert len(lines) == 1 + len(rows)
        for line, row in zip(lines[1:], rows, strict=True):
            assert line.startswith(tables.text(row))
