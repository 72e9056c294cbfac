"""Writes and reads a selection as a small JSON file. It contains row numbers only: no pixels, no ids."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from core.errors import InputError
from demo import texts
from demo.selection.numbering import Numbering

FORMAT, VERSION = "lmeraser-selection", 1
MOST_BYTES = 1_000_000


def write(rows: Sequence[int], pair: tuple[str, str], numbering: Numbering) -> str:
    """Return the file's text; `pair` is data set and preset, `numbering` says what the rows mean."""
    facts = {"format": FORMAT, "version": VERSION, "dataset": pair[0], "preset": pair[1], "data": numbering.data}
    return json.dumps(facts | {"rows": list(rows)}) + "\n"


def read(text: str, dataset: str, n: int, numbering: Numbering) -> list[int]:
    """Return the rows (each below n) in a file's text; raises InputError naming the wrong value, the limit and the remedy."""
    size = len(text.encode("utf-8", "replace"))
    if size > MOST_BYTES:
        raise InputError(texts.file_too_large(size, MOST_BYTES))
    content = _parsed(text)
    if content.get("format") != FORMAT or content.get("version") != VERSION:
        raise InputError(texts.FILE_FORMAT.format(_shown(content.get("format")), _shown(content.get("version")), FORMAT, VERSION))
    if content.get("dataset") != dataset:
        raise InputError(texts.FILE_DATASET.format(_shown(content.get("dataset")), dataset))
    if not numbering.data or content.get("data") != numbering.data:
        raise InputError(texts.FILE_DATA.format(dataset, n))
    return _checked(content.get("rows"), n)


def _parsed(text: str) -> dict[str, Any]:
    if not text.strip():
        raise InputError(texts.FILE_EMPTY)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(texts.FILE_JSON.format(_shown(text[:20]), getattr(error, "lineno", 1))) from error
    if not isinstance(content, dict) or "format" not in content:
        raise InputError(texts.FILE_OTHER)
    return content


def _checked(rows: Any, n: int) -> list[int]:
    if not isinstance(rows, list) or len(rows) > n:
        raise InputError(texts.FILE_ROWS.format(len(rows) if isinstance(rows, list) else _shown(rows), n))
    for row in rows:
        if isinstance(row, bool) or not isinstance(row, int) or not 0 <= row < n:
            raise InputError(texts.FILE_ROW.format(_shown(row), n - 1))
    return sorted(set(rows))


def _shown(value: Any) -> str:
    return f"{value!r:.40}"
