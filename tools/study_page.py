"""Writes the table of fields in docs/study.md from the docstring of `Study`: `python tools/study_page.py`."""

from pathlib import Path

from jaxsgd.study.study import field_notes

PAGE = Path(__file__).parents[1] / "docs" / "study.md"
BEGIN = "<!-- The table is made from the docstring of jaxsgd.Study by `python tools/study_page.py`: change it there. -->\n"
END = "<!-- The end of the table. -->\n"


def table() -> str:
    """Return the table: each argument of `Study` with its default, its meaning and a line of use."""
    lines = ["| field | default | what it is | for example |", "|---|---|---|---|"]
    for note in field_notes():
        default = "must be given" if note.default == "required" else f"`{note.default}`"
        lines.append(f"| `{note.name}` | {default} | {note.text} | `{note.example}` |")
    return "\n".join(lines) + "\n"


def with_table(page: str) -> str:
    """Return the page with the table as it is now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
