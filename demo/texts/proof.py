"""The Proof tab: verdicts, roots, the self-test, the planted mistakes and the search for residue."""

from __future__ import annotations

from demo.texts.formats import count, seconds

LEAD_PROOF = "Every model has a fingerprint, its root. If forgetting is exact, the root equals that of a model that never saw the pictures."
EMPTY_PROOF = "Forget something first. Then retrain from scratch without it, and compare."
ROOT_BEFORE, ROOT_AFTER, ROOT_CLEAN = "Before", "After forgetting", "Trained from scratch without them"
NOT_RUN = "not run yet"
VERDICTS = {
    "unchecked": (
        "Not checked yet",
        "Run full retraining: a separate process takes the data from before, removes the images you asked to forget, and trains a "
        "model from scratch. Then the roots are compared.",
    ),
    "running": ("Training without them", "A separate process is training a model that never saw these pictures."),
    "equal": (
        "Equal, bit for bit",
        "The model after forgetting is identical to a model trained without these pictures. Nothing of them is left in it.",
    ),
    "different": (
        "Not equal",
        "A check failed, so this request did not forget exactly: the model differs from one trained without these pictures, and "
        "something of them may be left in it. Do not rely on it; train the model again without them.",
    ),
    "unprovable": (
        "No proof on this device",
        "The self-test failed on this machine: the same computation gives different numbers when rows move or when another process "
        "runs it. Equal roots would prove nothing here, so nothing is called exact.",
    ),
}
BADGES = {  # what the result's card says beside each verdict's title
    "unchecked": "A separate process can train a model without these pictures and compare.",
    "running": "A separate process trains a model that never sees these pictures.",
    "equal": "A model trained from scratch without these pictures is identical.",
    "different": "The model differs from one trained without these pictures.",
    "unprovable": "This machine's self-test failed, so equal roots would prove nothing.",
}
VERDICTS_SHORT = {
    "unchecked": "not checked here",
    "running": "being checked",
    "equal": "equal ✓",
    "different": "not equal ✕",
    "unprovable": "no proof here",
}
PROOF_UNEXPLAINED = "The model trained from scratch has a different root."
PROOF_FAILED_NOTE = "The model differs from one trained without these pictures. The Proof and Ledger tabs show what failed."
NO_PROOF_HERE = "No proof on this device."
BASIS_WAITS = "The self-test of this machine is running."

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
RESIDUE_PLACES = {
    "ledger": "your ledger",
    "workspace": "the workspace",
    "temporary": "temporary files",
    "model": "your model in memory",
    "modules": "the program's caches",
    "worker queues": "queues to worker processes",
    "other": "another folder",
}


def proof_failed(request: int) -> str:
    """Return that a check has contradicted a request."""
    return f"Request {request:,} did not forget exactly: its proof failed."


def basis(selftest) -> str:
    """Return in one line what the proof relies on here; None while the self-test has not run."""
    if selftest is None:
        return BASIS_WAITS
    passed, checks = sum(c.passed for c in selftest.checks), len(selftest.checks)
    if selftest.passed:
        return f"The proof relies on the self-test of this machine, which passed all {count(checks, 'check')}."
    return f"{NO_PROOF_HERE} This machine passed {passed:,} of {count(checks, 'check')} of its self-test."


def basis_facts(selftest) -> list[tuple[str, str]]:
    """Return the facts about this machine that decide a model's bytes: device, threads, kernels, versions."""
    return [(name.replace("_", " "), value) for name, value in selftest.environment.items() if value] if selftest else []


def failed_checks(selftest) -> tuple[str, ...]:
    """Return the checks of the self-test that failed, in words."""
    return tuple(f"{c.name}: {c.detail}" for c in selftest.checks if not c.passed) if selftest else ()


# Which planted break (core.audit.planted_breaks) each check notices: root, clean room, membership test, search for residue
BREAKS: dict[str, tuple[bool, bool, bool, bool]] = {
    "wrong row deleted": (True, True, True, True),
    "head not subtracted": (True, True, True, False),
    "one touched cluster stale": (True, True, False, True),
    "all touched clusters stale": (True, True, True, True),
    "stale answer cache": (False, True, True, True),
    "features kept on disk": (False, False, False, True),
    "buckets rolled": (True, True, False, False),
    "mixing changed": (True, True, False, False),
    "receipt of another request": (False, True, False, False),
}
BREAKS_TITLE = "Which check notices which mistake?"
BREAKS_LEAD = "Each mistake was built into the program on purpose, and every check was run against it. No mistake goes unnoticed."
BREAKS_HEAD = ("Mistake", "Root", "Clean room", "Membership test", "Search for residue")
BREAKS_CELLS = {True: "noticed", False: "–"}


def residue_title(record: dict) -> str:
    """Return the verdict of a residue scan."""
    return RESIDUE_CLEAN if record["clean"] else RESIDUE_FOUND if record["found"] else RESIDUE_UNREAD


def residue_rows(record: dict) -> list[tuple[str, str, str]]:
    """Return what was searched, a place a row."""
    return [(s["place"], f"{s['items']:,}", f"{s['bytes'] / 1e6:,.1f}") for s in record["searched"]]


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
