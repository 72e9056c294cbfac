"""The words of the page for one's own images."""

from core.data.images import KINDS

TITLE = "Your own images"
TAGLINE = "Drop a folder or a zip. Look at what was read. Then forget any of them."
BACK = "Back to the lab"
DROP = "Drop images, a folder or a zip here"
PICK_FILES, PICK_FOLDER = "Choose files", "Choose a folder"
LAYOUT = (
    "A folder for each class: cats/1.jpg, dogs/2.jpg. Folders train and test above them are used, if there are any; "
    "a table metadata.csv may name file, label and subject."
)
PRIVATE = "Nobody can open them without their secret address. They go when you press Delete, an hour after you leave, or at the end."
LABEL_ALL = "Label for images without a class"
FIT = "Images that are not square"
FITS = {"crop": "keep the middle", "pad": "add black", "stretch": "change the shape"}
COLUMNS = {"image": "Column of the images", "label": "Column of the labels", "subject": "Column of the persons"}
TABLE = "If a table comes with them"
COLUMN_HINT = "found by itself"
READY = "Ready"
CHECK, AGAIN, OPEN, DELETE = "Check these images", "Check again", "Open the lab", "Delete my data now"
READ, LEFT_OUT, REPAIRED, RENAMED, WARNINGS = "Images read", "Left out", "Repaired", "Renamed", "Please note"
CLASSES, SPLITS, SUBJECTS, SIZE = "Classes", "Split", "Subjects", "Stored at"
UPLOADING, CHECKING, OPENING, DELETING = "Sending", "Reading images", "Opening the lab", "Deleting and searching for what is left"
UNKNOWN = "This set of images is not here any more: it was deleted, or an hour passed. Drop the images again."
FULL = "{} sets of images are open, the most this server keeps. Try again in a few minutes."
TOO_FEW = "Drop at least one image, folder or zip first."
TOO_LARGE = "This set has more than {} MB, the limit here. Drop fewer, or run the program yourself: python app.py --dataset FOLDER."
BROKEN = "These images could not be read ({}). Drop them again, or fewer of them."
BUSY = "These images are being read. Wait until that is done."
NOT_CHECKED = "Check the images first."
FOREIGN = "This request did not come from the page. Open the page and use its buttons."
DELETED = "Deleted. {items} files and objects in memory were searched for traces of {images} of the images: nothing was found."
RESIDUE = "Deleted, but something was found: {}. Restart the server to be sure."
DELETED_BEFORE = "Deleted."
OFFLINE = "The server does not answer. Is the program still running?"


PUBLIC, AT_HAND, FETCHED, READY_SET = "Or take {:,} images of a public set", "at hand", "{} MB from the Hugging Face Hub", " · ready {}"
SETS = {
    "cifar10": "Photographs of ten kinds of animals and vehicles, 32 px wide. Alike ones share clusters, so a group is cheap to forget.",
    "cifar100": "Photographs of a hundred kinds of things, 32 px wide. Few images of each, so single ones matter more.",
    "svhn": "House numbers from photographs of streets, 32 px wide. Digits as a camera sees them.",
    "gtsrb": "German traffic signs from a car's camera. Each sign was filmed, so forget a whole track.",
    "madbase": "Arabic digits that 600 people wrote. Forget everything that one of them wrote.",
}
NO_SUCH_SET = "There is no public set of this name; choose one of {}."


def ready(seconds: float) -> str:
    """Return about when a lab on some images will be ready."""
    if seconds < 90:
        return f"in about {10 * max(1, round(seconds / 10))} s here"
    return f"in about {round(seconds / 60)} min here"


def of_the_page(text: str) -> str:
    """Return an error of the import with the names of the page's fields instead of the command line's options."""
    for option, field in {"label-all": LABEL_ALL, **{f"{what}-column": name for what, name in COLUMNS.items()}}.items():
        text = text.replace(f"--{option}", f"“{field}”")
    return text


def limits(megabytes: int, images: int) -> str:
    """Say what is accepted."""
    return f"At most {megabytes:,} MB and {images:,} images: {KINDS}."
