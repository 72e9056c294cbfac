"""The Ledger tab: requests, receipts and their checks."""

from __future__ import annotations

from demo.texts.formats import count, seconds

LEAD_LEDGER = "All requests so far, what each one cost, and its receipt. Keep the receipts to check later that nothing was rewritten."
EMPTY_LEDGER = "No requests yet."


def ledger_total(requests: int, images: int, taken: float, full: float | None) -> str:
    """Return the ledger's sum."""
    words = f"{count(requests, 'request')}, {count(images, 'image')} forgotten, {seconds(taken)} in total."
    return words if not full else f"{words} Retraining fully each time: about {seconds(full * requests)}."


LEDGER_HEAD = ("#", "Receipt", "Images", "Clusters retrained", "Sample passes", "Time", "Root after", "Proof", "Done")
LEDGER_NUMBERS = (0, 2, 3, 4, 5)
RECEIPT = "Download"
CHECK, STOP_CHECK = "Check the chain", "Stop"
CHECKING = "Checking every row and receipt, and recomputing every state's digest"
REPLAYING = "Starting a clean process"
CHECK_STOPPED = "Stopped. Nothing was changed."
CHECK_GOOD, CHECK_BAD = "Everything is intact", "Something was altered"
CHECK_DOUBT = "The records are unaltered, but a proof failed"
CHECK_INFO = (
    "The check follows the chain of receipts and recomputes every state's digest. A replay trains the result of the last request "
    "from scratch, in a separate process."
)
CHECK_FILE = "Check a receipt file"
CHECK_FILE_INFO = "One receipt, or all receipts in one file. It is read once and not stored."
FILE_GOOD, FILE_BROKEN = "The receipts are intact", "Broken: this is not the file that was issued"
FILE_REFUSED = "This file cannot be checked"


def receipt_label(request: int) -> str:
    """Return a receipt link's full name."""
    return f"Download the receipt of request {request:,}"


def all_receipts(n: int) -> str:
    """Return the words of the link to all receipts."""
    return f"All {n:,} receipts as one file" if n > 1 else "The receipt as a file"


def withdrawn(n: int) -> str:
    """Return how many requests were cancelled, if any."""
    return f"{count(n, 'request was', 'requests were')} cancelled; the numbers skip {'it' if n == 1 else 'them'}." if n else ""


def all_of(persons: int) -> str:
    """Return that a request took everything of some persons."""
    return f"all of {count(persons, 'person')}"


def replay_button(request: int | None) -> str:
    """Return the words of the button that replays the last request."""
    return f"Replay request {request:,}" if request else "Replay the last request"


def replay_title(request: int, kind: str) -> str:
    """Return a replay's verdict, of this kind."""
    words = {"equal": "equal, bit for bit", "unprovable": "no proof on this device"}.get(kind, "not equal")
    return f"Request {request:,} replayed: {words}"


def replayed(root: str, taken: float) -> str:
    """Return what a replay did."""
    return f"A separate process trained for {seconds(taken)} on the remaining images. Its model has the same root, {root[:12]}…"


def verified(report: dict) -> list[str]:
    """Return what a check that found nothing wrong has looked at."""
    return [
        f"Chain intact: {count(report['receipts'], 'receipt')}, each linked to the one before.",
        f"Ledger intact: {count(report['rows'], 'row')}, none altered, added or removed.",
        f"Store intact: {count(report['states'], 'state')}, every digest recomputed; together they give the recorded root, "
        f"{report['root'][:12]}…",
        f"{count(report['samples'], 'sample')} in the model, as recorded.",
    ]


def receipt_title(request: int) -> str:
    """Return a receipt's heading."""
    return f"Receipt of request {request:,}"


def receipts_too_large(size: int, most: int) -> str:
    """Return why a file was not read."""
    return f"It has {size:,} bytes; receipts have at most {most:,}. Choose a receipt file that this page issued."


def file_intact(n: int, last: int, root: str) -> str:
    """Return what a good receipt file contains."""
    which = f"{count(n, 'receipt')}, in an unbroken chain up to request {last:,}" if n > 1 else f"Receipt {last:,}, unaltered"
    return f"{which}. The model then had root {root[:12]}…"


def file_known(known: int, n: int) -> str:
    """Return how many of a file's receipts are in this page's ledger."""
    if known == n:
        return "This page's ledger contains it." if n == 1 else "This page's ledger contains all of them."
    others = "the other comes" if n - known == 1 else "the others come"
    return f"{known:,} of {n:,} {'is' if known == 1 else 'are'} in this page's ledger; {others} from elsewhere."


LEARNED_TITLE = "What the model has learned since it was made"


def learned(n: int) -> str:
    """Return what a row of the ledger says about learning."""
    return f"Learned {count(n, 'picture')}"
