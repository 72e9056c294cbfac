"""Page-wide words: title, tabs, the status line, errors that any tab can show, and the command line's messages."""

from __future__ import annotations

from demo.texts.formats import count, seconds, stepped

TITLE = "LMEraser Lab"
TAGLINE = "Pick any picture a model has learned. Make the model forget it, in seconds, and see the proof."
# The top bar, the small actions of a selection, links and files
TABS = ("result", "compare", "proof", "clusters", "ledger", "learn")  # the tabs' names in an address
TABS_RENAMED = {"methods": "compare", "how": "learn", "how-it-works": "learn", "lesson": "learn"}  # older addresses still work
DATASET, PRESET = "Data set", "Preset"
PICKERS = "Data set and preset"
LINK_PARTIAL = "Copied, but not all you did fits into a link"
LINK, LINK_COPIED, LINK_SHOWN = "Copy link", "Link copied", "Link is in the address bar"
NOT_AVAILABLE = "“{}” is not available, so you see this page instead. Available: {}."
NO_MODELS = "0 models were named. Name at least one data set and one preset."
SAME_PAGE = "Two data sets would share the page “/{}”. Give their folders different names."
OWN_IMAGES, OWN_BACK = "Use your own images", "Your images: report and delete"
TAB_RESULT, TAB_COMPARE, TAB_PROOF, TAB_CLUSTERS, TAB_LEDGER, TAB_LEARN = "Result", "Compare", "Proof", "Clusters", "Ledger", "Learn"
UNDER_WAY = "A request is being completed."
REPAIR = "Start the page with --repair to fix this; nothing that is still there is lost."
NO_PORT = "The page cannot listen on port {} ({}). Name a free one with --port, or another --host."
INTERRUPTED = "The server is shutting down. A recorded request is completed at the next start."


def repairing(stage: str, done: int, total: int) -> str:
    """Return how far the repair of a workspace is, for the terminal."""
    return f"Repairing the workspace. {stepped(STAGES.get(stage, stage), done, total)}"


SERVER_UNREACHABLE = "The server does not respond. Start it again, then reload the page. Unfinished work on this page is lost."
SERVER_RESTARTED = "The server was restarted. Reload to continue."
SESSION_OVER = "This session has ended. Reload the page to start again; nothing else is lost."


def session_lost(work: object) -> str:
    """Return what was lost with a session that is over; `work`: requests and lessons in it."""
    what = (
        f"Its {count(work, 'request or lesson', 'requests and lessons')}" if isinstance(work, int) and 0 < work < 1000 else "What was in it"
    )
    return f"Your earlier session on this page has ended. {what} went with it; the model here is the one from the start."


ERROR_TITLE = "That did not work"
NOT_READY = "The model is not ready yet. Wait until training on this machine is done."
NOTHING_SELECTED = "Select at least one image first."
NOTHING_FORGOTTEN = "Forget something first, then run full retraining to compare."
BUSY = "One of your requests is already running. Wait for it to finish, or cancel it."
FIT_FAILED = "The model could not be trained: {}"
BAD_ROW = "rows contains {}; give numbers from 0 to {:,}."
FORGOTTEN_ROWS = "{:,} of these rows are already forgotten: {}. Nothing was changed. Send only rows that are still in the model."
OTHER_DATA = "data={} refers to other pictures than those on this page (its data is {}). Choose the pictures again on this page."
NO_DATA_YET = "not known until the workspace is ready"
API_SESSION_OVER = "There is no such session, or it has ended. Open one with /open."
API_NOT_AVAILABLE = "“{}” is not available. Available: {}."
BAD_ROWS = "rows is {}; give a list of numbers from 0 to {:,}."
STAGES = {
    "map": "Computing the map, once",
    "turn": "Waiting while another data set is trained",
    "open": "Loading the public model",
    "features": "Computing the features of every picture",
    "train": "Training",
    "evaluate": "Measuring accuracy",
}


def fitting(done: int, total: int, stage: str) -> str:
    """Return what the first training is doing."""
    words = STAGES.get(stage, stage)
    if stage == "train" and total:
        return f"First start: training {count(total, 'cluster')} on this machine"
    return words


FIT_NOTE = "This run is timed as this machine's full retraining. You can already look around and select."


def ready(samples: int, clusters: int, forgotten: int) -> str:
    """Return the status of a model that is ready."""
    gone = f" {forgotten:,} forgotten." if forgotten else ""
    return f"Ready. {count(samples, 'private image')} in {count(clusters, 'cluster')}.{gone}"


def measured(value: float, day: str, here: bool) -> str:
    """Return the badge of a full retraining's time: from this session, or stored."""
    return f"Full retraining {seconds(value)}, measured on this machine {'in this session' if here else 'on ' + day}"


def estimated(value: float, day: str, here: bool, images: int, remain: int) -> str:
    """Return the badge of a time that was estimated from a full retraining of more images."""
    when = "in this session" if here else "on " + day
    scaled = "" if images == remain else f"; scaled to the {remain:,} that remain"
    return f"Full retraining of {count(images, 'image')} {seconds(value)}, measured on this machine {when}{scaled}"


NOT_MEASURED = "Full retraining has not been measured here yet"


def waiting(ahead: int) -> str:
    """Return the position in the queue."""
    return "Your turn is next" if ahead <= 1 else f"{ahead:,} requests are ahead of yours"


TOO_MANY_ROWS = "{:,} rows were given, but the model was trained on {:,} images. List each row once."
MODEL_CHANGED = "Another visitor's request has changed the model. Check the updated preview, then press Forget again."
FOR_GOOD = "This model is stored in a workspace, where forgetting is permanent. You cannot start over."


def workspace_note(name: str) -> str:
    """Return the line that says whose model a page with a workspace changes."""
    return f"This page changes the model in workspace “{name}” for everyone. Forgetting is permanent: you cannot start over."
