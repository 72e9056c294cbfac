"""Selecting images: the tray, groups, numbers, random draws, links and saved selections."""

from __future__ import annotations

from demo.texts.formats import count

REQUEST_TITLE = "Your request"
TRAY_EMPTY = "Nothing selected yet."
TRAY_HINT = "Each point is a picture the model was trained on. Draw around some on the map, or choose without the map."
TRAY_LABEL = "Selected images"
REMOVE = "Remove image {} from the selection"
CHOOSE = "Choose without the map"
CLASSES = "Classes"
SUBJECT = "Forget one person"
PEOPLE = "Persons and what forgetting them takes"
PEOPLE_HEAD = ("Person", "Pictures", "Clusters", "Expected")
PEOPLE_NUMBERS = (1, 2, 3)
SELECT_PERSON = "Select all pictures of this person"
NO_PERSON = "There is no person {!r} among the {:,} on this page. Choose one from the table."
NUMBERS = "Sample numbers"
NUMBERS_HINT = "3, 17, 200-240"
NUMBERS_INFO = "Numbers and ranges, from 0 to {:,}"
SELECT = "Select these"
CLEAR = "Clear"
ACTIONS = "Add to the selection"
SIMILAR = "10 most similar"
SIMILAR_INFO = "Add the 10 images that the public model finds most similar"
SAVE, SAVE_INFO = "Save", "Save the selection as a file"
OPEN_FILE, OPEN_INFO = "Open a saved selection", "Restore a saved selection. The file is read in your browser and is not stored here."
SAVED_NAME = "lmeraser-selection-{}.json"
RANDOM, RANDOM_COUNT, RANDOM_SEED, DRAW = "Random images", "How many", "Seed", "Draw"
RANDOM_INFO = "Repeats a draw"
BAD_NUMBER = "{} is {}; give {}."
LINK_SELECTION = "The selection in this link was ignored. {}"
BAD_LINK = "This link has {}={}, which is not {}. It was ignored."
LINK_HIDES_ALL = "This link hides the whole page, so nothing was hidden."
LINK_TOO_LONG = "This selection is too long for a link ({:,} characters, at most {:,}). Save it as a file instead."
NONE_LIKE_IT = "There are no more images to add."
FILE_JSON = "This file is not a saved selection: it starts with {} and is not valid JSON (line {}). Open a file created with “Save”."
FILE_EMPTY = "This file is empty. Open a file created with “Save”."
FILE_OTHER = "This file is not a saved selection. Open a file created with “Save”."
FILE_FORMAT = "This file has format {} version {}; this page reads {} version {}. Open a file created with “Save”."
FILE_DATASET = "This selection was made on data set {}, but this page shows {!r}. Choose that data set above, then open the file."
FILE_DATA = "This selection was made on other images than this page's ({!r}, {:,} images). Choose the pictures here and save them again."
FILE_ROWS = "This file lists {} rows; give a list of at most {:,}."
FILE_ROW = "{} in this file is not a row number from 0 to {:,}. Correct or remove it, then open the file again."


def subject(name: str, n: int) -> str:
    """One subject in the list to choose from."""
    return f"{name} · {count(n, 'picture')}"


def more_people(n: int) -> str:
    """Return that the table does not show everyone."""
    return f"{count(n, 'more person', 'more persons')}: choose above by name."


def file_too_large(size: int, most: int) -> str:
    """Return what to do with a selection file that is too large; sizes in bytes."""
    return f"This file has {size:,} bytes; a selection has at most {most:,}. Open a file created with “Save”."


def group(scheme: str, names: list[str], more: int) -> str:
    """Return the words of an action that adds what is left of some groups: "class 3 (+139)" or "3 classes (+420)"."""
    what = f"{GROUPS[scheme][0]} {names[0]}" if len(names) == 1 else f"{len(names):,} {GROUPS[scheme][1]}"
    return f"{what} (+{more:,})"


GROUPS = {"class": ("class", "classes"), "cluster": ("cluster", "clusters"), "subject": ("subject", "subjects")}


def group_info(scheme: str) -> str:
    """Return what adding groups does, for the tooltip."""
    return f"Add all images in the same {GROUPS[scheme][0]} as a selected image"


BAD_NUMBERS = "“{}” is not a number or a range. Write numbers from 0 to {:,}, such as 3, 17, 200-240."
LINK_UNCHECKED = "This link does not say which data its numbers refer to (data=…). Check the pictures before you forget them."
BAD_RANGE = "“{}” is out of range. Choose numbers from 0 to {:,}."
BAD_ORDER = "“{}” runs backwards. Write the smaller number first."


def draws_others(n: int) -> str:
    """Return why a link that draws at random selects nothing where pictures are forgotten."""
    forgotten = f"{count(n, 'picture')} of this workspace {'is' if n == 1 else 'are'} forgotten"
    return f"It asks for a random draw, but {forgotten}, so it would draw other pictures. Use a link with numbers."


def forgotten_numbers(n: int) -> str:
    """Return that some of the pictures asked for cannot be selected any more."""
    return f"{n:,} of these pictures {'is' if n == 1 else 'are'} already forgotten and {'was' if n == 1 else 'were'} ignored."


def link_forgot(n: int) -> str:
    """Return what a link with forgotten pictures has done."""
    verb = "is" if n == 1 else "are"
    return f"{count(n, 'picture')} that the sender of this link had forgotten {verb} selected. Press Forget to do the same."
