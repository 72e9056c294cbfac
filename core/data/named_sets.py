"""The data sets that have a name: local parquet files first, else the Hugging Face Hub; and any other one of the Hub."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from core.data.images import SUFFIXES, shown, within
from core.data.imports.metadata import TABLES
from core.data.imports.options import ImportOptions
from core.data.imports.paths import read_path
from core.data.imports.placing import FoundSet
from core.data.imports.report import ImportReport
from core.data.imports.tables import TableFile, read_tables
from core.errors import DataError

OFFLINE = "digits needs neither files nor network"


@dataclass(frozen=True)
class HubSource:
    """Where a named set lies on the Hugging Face Hub."""

    repo: str
    train: str  # patterns of parquet files inside the repository
    test: str
    megabytes: int  # of these files, about


NAMED: dict[str, HubSource | None] = {
    "cifar10": HubSource("uoft-cs/cifar10", "plain_text/train-*.parquet", "plain_text/test-*.parquet", 144),
    "cifar100": HubSource("uoft-cs/cifar100", "cifar100/train-*.parquet", "cifar100/test-*.parquet", 142),
    "svhn": HubSource("ufldl-stanford/svhn", "cropped_digits/train-*.parquet", "cropped_digits/test-*.parquet", 183),
    "gtsrb": None,  # local files only
    "madbase": None,
}
ENDINGS = (*SUFFIXES, *TABLES, ".arrow", ".zip", ".tar", ".tgz", ".tar.gz")
DATA = ["*" + "".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in ending) for ending in ENDINGS]  # the Hub's patterns tell case


def load_named(name: str, data_dir: Path | str | None, options: ImportOptions, report: ImportReport) -> FoundSet:
    """Return a set in NAMED, from `data_dir` or the Hub; raises DataError when neither has it."""
    folder = _data_dir(data_dir) / name
    tables = [TableFile(folder / f"{split}.parquet", f"{split}.parquet", split, "") for split in ("train", "test")]
    if all(table.path.is_file() for table in tables):
        return read_tables(tables, folder, options, report)
    source = NAMED[name]
    if source is None:
        raise DataError(_absent(name, folder, "it is not on the Hub"))
    try:
        return read_path(str(_fetched(source.repo, [source.train, source.test], options)), options, report)
    except DataError:
        raise
    except Exception as error:  # network, authorization, disk: many kinds, of several libraries
        why = f"{source.repo} cannot be loaded from the Hub ({type(error).__name__}: {shown(error)})"
        raise DataError(_absent(name, folder, why)) from error


def at_hand(name: str, data_dir: Path | str | None = None) -> bool:
    """Return whether a set in NAMED lies in `data_dir`, so that it need not be fetched."""
    return all((_data_dir(data_dir) / name / f"{split}.parquet").is_file() for split in ("train", "test"))


def is_hub_name(name: str) -> bool:
    """Return whether a text has the form of a Hub repository's name, user/name."""
    return re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name, re.ASCII) is not None


def load_from_hub(name: str, options: ImportOptions, report: ImportReport) -> FoundSet:
    """Return a data set of the Hub: its tables where it has any, else its images and archives; raises DataError."""
    try:
        return read_path(str(_fetched(name, None, options)), options, report)
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"{shown(name)} is not a path here, and cannot be loaded from the Hub ({type(error).__name__}: {shown(error)}). "
            f"Check the name and the network. What works offline: {OFFLINE}; so do your own images."
        ) from error


def _data_dir(data_dir: Path | str | None) -> Path:
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(data_dir or os.environ.get("LMERASER_DATA") or beside)


def _absent(name: str, folder: Path, why: str) -> str:
    return (
        f"{name}: {folder} does not hold train.parquet and test.parquet, and {why}. "
        f"Put them there, or set LMERASER_DATA to the folder that holds {name}/. What works offline: {OFFLINE}; so do your own images."
    )


def _fetched(repo: str, patterns: list[str] | None, options: ImportOptions) -> Path:
    """Download a repository's data into the Hub's own cache, which stays, with progress; return the folder.

    Without a network it fails in seconds, not after retries. What is already there is not asked for again.
    """
    from huggingface_hub import HfApi, constants, snapshot_download

    if not constants.HF_HUB_OFFLINE:
        info = HfApi().dataset_info(repo, timeout=10, files_metadata=True)
        files = {file.rfilename: file.size or 0 for file in info.siblings or ()}
        patterns = patterns or _patterns(list(files))
        size = sum(size for name, size in files.items() if any(_fits(name, pattern) for pattern in patterns))
        within(f"bytes of {shown(repo)} on the Hub", size, options.limits.set_bytes, "choose a smaller set")
    return Path(snapshot_download(repo, repo_type="dataset", allow_patterns=patterns))


def _patterns(names: list[str]) -> list[str]:
    """Return what to take of a repository: its parquet files where it has any, else everything that is data."""
    return ["*.parquet"] if any(name.endswith(".parquet") for name in names) else DATA


def _fits(name: str, pattern: str) -> bool:
    from fnmatch import fnmatch

    return fnmatch(name, pattern)
