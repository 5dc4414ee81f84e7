"""A file of published numbers, row by row. Columns: see COLUMNS; a row is a fact with its source."""

from __future__ import annotations

import csv
from dataclasses import dataclass, fields
from pathlib import Path

from serving.errors import EvaluationRefused


@dataclass(frozen=True)
class Row:
    """One published number, as it stands in the file; `line` counts from 2, the first one under the heading."""

    line: int
    model: str
    params: str
    quant: str
    nodes: str
    machine: str
    link: str
    strategy: str
    context: str
    batch: str
    metric: str
    value: str
    source: str
    framework: str
    date: str
    grade: str
    note: str

    @property
    def number(self) -> float | None:
        """The published value, where it is a number."""
        return _number(self.value)

    @property
    def tokens(self) -> int | None:
        """The published context, where it is one."""
        context = _number(self.context)
        return None if context is None else int(context)

    @property
    def sequences(self) -> int:
        """How many sequences were served at once; one where nothing is said."""
        return int(_number(self.batch) or 1)

    @property
    def machines(self) -> int | None:
        """How many machines, where it is said."""
        nodes = _number(self.nodes)
        return None if nodes is None else int(nodes)


COLUMNS = tuple(field.name for field in fields(Row) if field.name != "line")


def read(path: Path) -> list[Row]:
    """All rows of a file. Raises EvaluationRefused where columns are missing."""
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise EvaluationRefused(
                f"cannot read {path}: seen no column {', '.join(missing)}, needed {', '.join(COLUMNS)}."
            )
        return [
            Row(line, **{name: (row[name] or "").strip() for name in COLUMNS}) for line, row in enumerate(reader, 2)
        ]


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return None
