"""The data sets that have a name: local parquet files first, else the Hugging Face Hub."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.data.encoded_rows import EncodedRows
from core.data.images import InputLimits, shown
from core.data.parquet import collect_rows, read_parquet
from core.errors import DataError

if TYPE_CHECKING:
    from datasets import DatasetDict

OFFLINE = "digits needs neither files nor network"


@dataclass(frozen=True)
class HubSource:
    """Where a named set lies on the Hugging Face Hub."""

    repo: str
    train: str  # patterns of parquet files inside the repository
    test: str


NAMED: dict[str, HubSource | None] = {
    "cifar10": HubSource("uoft-cs/cifar10", "plain_text/train-*.parquet", "plain_text/test-*.parquet"),
    "cifar100": HubSource("uoft-cs/cifar100", "cifar100/train-*.parquet", "cifar100/test-*.parquet"),
    "svhn": HubSource("ufldl-stanford/svhn", "cropped_digits/train-*.parquet", "cropped_digits/test-*.parquet"),
    "gtsrb": None,  # local files only
    "madbase": None,
}


def load_named(name: str, data_dir: Path | str | None, limits: InputLimits) -> tuple[EncodedRows, EncodedRows]:
    """Return train and test of a set in NAMED, from `data_dir` or the Hub; raises DataError when neither has it."""
    folder = _data_dir(data_dir) / name
    train, test = folder / "train.parquet", folder / "test.parquet"
    if train.is_file() and test.is_file():
        return read_parquet([train], "train", limits), read_parquet([test], "test", limits)
    source = NAMED[name]
    if source is None:
        raise DataError(_absent(name, folder, "it is not on the Hub"))
    return _from_hub(name, source, folder, limits)


def _data_dir(data_dir: Path | str | None) -> Path:
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(data_dir or os.environ.get("LMERASER_DATA") or beside)


def _absent(name: str, folder: Path, why: str) -> str:
    return (
        f"{name}: {folder} does not hold train.parquet and test.parquet, and {why}. "
        f"Put them there, or set LMERASER_DATA to the folder that holds {name}/. What works offline: {OFFLINE}; so do your own images."
    )


def _from_hub(name: str, source: HubSource, folder: Path, limits: InputLimits) -> tuple[EncodedRows, EncodedRows]:
    try:
        splits = _fetch(source)
    except Exception as error:  # network, authorization, disk: many kinds, of several libraries
        why = f"{source.repo} cannot be loaded from the Hub ({type(error).__name__}: {shown(error)})"
        raise DataError(_absent(name, folder, why)) from error
    train, test = (collect_rows(splits[s], len(splits[s]), f"{source.repo} {s}", limits) for s in ("train", "test"))
    return train, test


def _fetch(source: HubSource) -> DatasetDict:
    """Download the parquet files into the Hub's own cache, which stays; without a network it fails in seconds, not after retries."""
    import datasets
    import huggingface_hub

    if not huggingface_hub.constants.HF_HUB_OFFLINE:
        huggingface_hub.HfApi().dataset_info(source.repo, timeout=10)
    return datasets.load_dataset(source.repo, data_files={"train": source.train, "test": source.test}, verification_mode="no_checks")
