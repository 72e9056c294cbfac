"""Finds out what lies at a path (images in folders, an archive, tables, a saved data set, a Hub snapshot) and reads it as such."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from core.data.images import SUFFIXES, shown, within
from core.data.imports.files import ARCHIVES, File, files_of, is_archive
from core.data.imports.metadata import TABLES
from core.data.imports.names import split_in
from core.data.imports.options import ImportOptions
from core.data.imports.placing import NO_IMAGE, FoundSet, placed
from core.data.imports.report import ImportReport, counted
from core.data.imports.tables import ENDINGS, TableFile, read_tables, tables_of
from core.data.imports.webdataset import is_webdataset, read_shards, stem_of
from core.errors import DataError

FORMS = "a folder, .zip, .tar, .tar.gz or .parquet"
SAVED = ("dataset_info.json", "state.json", "dataset_dict.json")  # what `save_to_disk` writes beside its tables


def read_path(name: str, options: ImportOptions, report: ImportReport) -> FoundSet:
    """Return the images that lie at a path; raises DataError when none of them can be used."""
    path = Path(name)
    try:
        is_dir, is_file = path.is_dir(), path.is_file()
    except (OSError, ValueError) as error:  # too long, a NUL inside, no permission
        raise DataError(f"{shown(name)} is not a usable path ({type(error).__name__}); give {FORMS}.") from error
    if not is_dir and not is_file:
        raise DataError(f"{shown(name)} is not there; give {FORMS}.")
    if is_file and path.suffix.lower() in ENDINGS:
        return read_tables([TableFile(path, path.name, "", "")], path.parent, options, report)
    if is_file and not is_archive(path):
        raise DataError(f"{shown(path.name)} is of a kind that is not read; give {FORMS}.")
    if is_dir:
        return _read_folder(_snapshot(path), options, report)
    files = files_of(path, options.limits, report)
    if is_webdataset(files):
        return read_shards([("", files)], options, report)
    return placed(files, options, report)


def _snapshot(path: Path) -> Path:
    """Return the newest snapshot of a repository in the Hub's cache, or the path itself."""
    ref = path / "refs" / "main"
    if (path / "snapshots").is_dir() and (path / "blobs").is_dir() and ref.is_file():
        chosen = path / "snapshots" / ref.read_text("utf-8").strip()
        if chosen.is_dir() and chosen.parent == path / "snapshots":
            return chosen
    return path


def _read_folder(path: Path, options: ImportOptions, report: ImportReport) -> FoundSet:
    files = files_of(path, options.limits, report)
    tables = tables_of(files, report)
    images = any(file.path.lower().endswith(SUFFIXES) for file in files)
    if tables:
        _skip_beside(files, ENDINGS, report)
        return read_tables(tables, path, options, report, files)
    shards = [file for file in files if is_archive(Path(file.path))]
    if shards and not images:
        _skip_beside(files, ARCHIVES, report)
        return _read_archives(shards, options, report)
    return placed(files, options, report)


def _skip_beside(files: list[File], kept: tuple[str, ...], report: ImportReport) -> None:
    """Report what lies beside the tables or archives that are the set; images may be named by tables."""
    images = 0
    for file in files:
        if file.path.lower().endswith(SUFFIXES):
            images += 1
        elif not file.path.lower().endswith(kept) and Path(file.path).name not in SAVED:
            report.skip(file.path, NO_IMAGE)
    if images:
        report.warn(f"{counted(images, 'image file')} beside the tables are used only where a table names them.")


def _read_archives(shards: list[File], options: ImportOptions, report: ImportReport) -> FoundSet:
    """Return the images of several archives: WebDataset's shards, or one archive for each split or part."""
    opened = []
    for shard in shards:
        split = split_in(stem_of(shard.path)) or ""
        opened.append((split, files_of(shard.disk or Path(shard.path), options.limits, report)))
    within("images in the set", sum(len(files) for _, files in opened), options.limits.set_images, "give fewer")
    if all(is_webdataset(files) for _, files in opened):  # shards may hold the same keys
        named = [
            [replace(file, path=f"{shard.path}/{file.path}") for file in files] for shard, (_, files) in zip(shards, opened, strict=True)
        ]
        return read_shards([(split, files) for (split, _), files in zip(opened, named, strict=True)], options, report)
    joined = []
    for split, files in opened:
        inside = any(file.path.split("/")[0] == split for file in files)
        joined += files if not split or inside else [replace(file, path=f"{split}/{file.path}") for file in files]
    if any(file.path.lower().endswith(TABLES) for file in joined):
        joined = _told_apart(joined, report)
    return placed(joined, options, report)


def _told_apart(files: list[File], report: ImportReport) -> list[File]:
    """Return the files without second images of one path, since a table's row could mean either."""
    seen: set[str] = set()
    kept = []
    for file in files:
        if file.path in seen and not file.path.lower().endswith(TABLES):
            report.skip(file.path, "a second file of the same name")
        else:
            kept.append(file)
        seen.add(file.path)
    return kept
