"""The search for residue on the Proof tab."""

from __future__ import annotations

from demo.texts.formats import count, seconds

RESIDUE_TITLE = "Is anything left?"
LEAD_RESIDUE = "A byte-by-byte search for everything derived from the forgotten pictures."
RUN_RESIDUE = "Search for residue"
RESIDUE_SEARCHING = "Searching files and memory"
RESIDUE_INFO = (
    "Searches your model and your temporary files. The lab's own model, which every visitor starts from, still contains the pictures, "
    "as intended."
)
RESIDUE_INFO_WORKSPACE = "Searches the workspace, temporary files and this process, but not the data set that the pictures came from."
RESIDUE_CLEAN, RESIDUE_FOUND, RESIDUE_UNREAD = "Nothing is left", "Something is left", "Some files could not be read"
RESIDUE_HEAD = ("Searched", "Files and buffers", "Megabytes")
RESIDUE_CAPTION = "Places that were searched"


def residue_summary(record: dict) -> list[str]:
    """Return what a residue scan looked for and found."""
    kinds = ", ".join(f"{n:,} of {kind}" for kind, n in record["sought"].items())
    lines = [f"{count(record['samples'], 'forgotten picture')}, {count(sum(record['sought'].values()), 'identifying piece')}: {kinds}."]
    lines += [f"Found: {f['kind']} of {count(f['samples'], 'picture')} in {f['place']}" for f in record["found"]]
    lines += [f"Could not be read: {name}" for name in record["unread"]]
    lines += [f"Not searched for: {n:,} too plain to be identified by their {kind}" for kind, n in record["plain"].items()]
    if record["spared"]:
        lines.append(f"Not searched for: {count(record['spared'], 'picture')} with an exact copy that stays in the model")
    return [*lines, f"It took {seconds(record['seconds'])}."]
