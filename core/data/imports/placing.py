"""Finds what each image of a folder or archive is: its split, label and subject, from folder names and tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from core.data.images import KINDS, SUFFIXES, shown
from core.data.imports.files import File
from core.data.imports.metadata import TABLES, Facts, facts_of
from core.data.imports.names import checked_name, natural, split_of
from core.data.imports.options import ImportOptions
from core.data.imports.report import ImportReport, counted
from core.errors import DataError

NO_IMAGE = "not an image"
NO_LABEL = "no label"


@dataclass(frozen=True)
class Found:
    """An image of a set, before it is read: its name for messages, how to read it, its split ('' for none), label and subject."""

    name: str
    read: Callable[[], bytes]
    label: str
    split: str = ""
    subject: str | None = None


@dataclass(frozen=True)
class FoundSet:
    """All images of a set, and its class names in order."""

    images: list[Found]
    classes: tuple[str, ...]


def placed(files: Sequence[File], options: ImportOptions, report: ImportReport) -> FoundSet:
    """Return what the files hold; raises DataError when there is no image, or none with a label."""
    images = [file for file in files if file.path.lower().endswith(SUFFIXES)]
    for file in files:
        if not file.path.lower().endswith((*SUFFIXES, *TABLES)):
            report.skip(file.path, NO_IMAGE)
    if not images:
        raise DataError(f"There are 0 images among {counted(len(files), 'file')}; give {KINDS} in one folder for each class.")
    facts = facts_of(files, [file.path for file in images], options, report)
    folders = _without_wrappers({file.path: tuple(file.path.split("/")[:-1]) for file in images}, facts)
    no_class = _no_class(folders, facts)
    split_second = _split_below_class(folders)
    found, deeper = [], 0
    for file in images:
        fact, rest, split = facts.get(file.path, Facts()), folders[file.path], ""
        if rest and split_of(rest[0]) and (len(rest) > 1 or fact.label):  # a lone folder `train` may be a class of trains
            split, rest = split_of(rest[0]) or "", rest[1:]
        elif split_second and len(rest) > 1:
            split, rest = split_of(rest[1]) or "", (rest[0], *rest[2:])
        of_folder = rest[0] if rest and folders[file.path] not in no_class else None
        label = (of_folder if fact.label is None else fact.label) or options.label
        if not label:
            report.skip(file.path, NO_LABEL)
            continue
        deeper += fact.label is None and len(rest) > 1
        found.append(Found(file.path, file.read, label, split, fact.subject))
    if not found:
        raise DataError(
            f"None of {counted(len(images), 'image')} has a label; put each into a folder named after its class, "
            "name labels in metadata.csv, or give all of them one with --label-all."
        )
    if deeper:
        report.warn(f"{counted(deeper, 'image')} deeper than <class>/<image>; the first folder counts as the class.")
    return arranged(found, (), options, report)


def _no_class(folders: dict[str, tuple[str, ...]], facts: dict[str, Facts]) -> set[tuple[str, ...]]:
    """Return the folders that name no class: a table gives most of their images other labels, or it gives labels and they are splits."""
    total, other = Counter(folders.values()), Counter[tuple[str, ...]]()
    for image, folder in folders.items():
        label = facts.get(image, Facts()).label
        other[folder] += bool(label) and label not in folder
    labels = any(fact.label for fact in facts.values())
    return {folder for folder in total if 2 * other[folder] > total[folder] or (labels and len(folder) == 1 and split_of(folder[0]))}


def arranged(images: Sequence[Found], classes: Sequence[str], options: ImportOptions, report: ImportReport) -> FoundSet:
    """Return the images with names in one form, and their classes: those that are given, then others in natural order.

    Where only some images of a split have a subject, each other one is a subject of its own.
    """
    own: dict[str, str] = {}
    names: dict[str, str] = {}
    images = _with_usable_names(images, options, report)
    for raw in dict.fromkeys([*classes, *(image.label for image in images)]):
        names[raw] = checked_name(raw, "class", options.limits)
        if names[raw] in own:
            report.warn(f"{shown(raw)} and {shown(own[names[raw]])} are one class; they differ only in Unicode form or spaces.")
        own.setdefault(names[raw], raw)
        report.rename(raw, names[raw])
    alike = Counter(name.casefold() for name in own)
    for name in sorted(name for name in own if alike[name.casefold()] > 1):
        report.warn(f"Class {shown(name)} differs from another only in upper and lower case; they stay two.")
    for name in own:
        if name.casefold() in ("unlabeled", "unlabelled", "unknown", "other", "unsorted", "todo", "misc"):
            report.warn(f"Class {shown(name)} may stand for images without a label; it counts as a class like the others.")
    given = list(dict.fromkeys(names[raw] for raw in classes))
    order = given + sorted((name for name in own if name not in set(given)), key=natural)
    with_subjects = {image.split for image in images if image.subject}
    alone = [image for image in images if image.split in with_subjects and not image.subject]
    if alone:
        report.warn(f"{counted(len(alone), 'image')} without a subject; each counts as one of its own, named after its file.")
    longest = options.limits.name_chars
    for at, image in enumerate(images):
        said = (image.subject or image.name[-longest:]) if image.split in with_subjects else None
        subject = checked_name(said, "subject", options.limits) if said else None
        images[at] = replace(image, label=names[image.label], subject=subject)
    return FoundSet(images, tuple(order))


def _with_usable_names(images: Sequence[Found], options: ImportOptions, report: ImportReport) -> list[Found]:
    """Return the images whose class and subject have names that can be used; raises DataError when there are none."""
    usable, error = [], None
    for image in images:
        try:
            checked_name(image.label, "class", options.limits)
            if image.subject:
                checked_name(image.subject, "subject", options.limits)
        except DataError as found:
            error = found
            report.skip(image.name, "a class or subject name that is too long or shows nothing")
        else:
            usable.append(image)
    if error and not usable:
        raise error
    return usable


def _without_wrappers(folders: dict[str, tuple[str, ...]], facts: dict[str, Facts]) -> dict[str, tuple[str, ...]]:
    """Drop folders around everything, as archives and repositories often have, as long as each image keeps one for its class."""
    while True:
        tops = {path[:1] for path in folders.values()}
        top = next(iter(tops))
        bare = any(len(path) < 2 and not facts.get(image, Facts()).label for image, path in folders.items())
        if len(tops) > 1 or not top or bare or (split_of(top[0]) and not _nested_splits(folders)):
            return folders
        folders = {image: path[1:] for image, path in folders.items()}


def _nested_splits(folders: dict[str, tuple[str, ...]]) -> bool:
    """Return whether all images lie in splits below their first folder, as in `training/train/cat/1.png`."""
    return len({path[1:2] for path in folders.values()}) > 1 and all(len(path) > 2 and split_of(path[1]) for path in folders.values())


def _split_below_class(folders: dict[str, tuple[str, ...]]) -> bool:
    """Return whether splits lie inside classes, as in `cat/train/1.png`."""
    return all(len(path) > 1 and split_of(path[1]) and not split_of(path[0]) for path in folders.values())
