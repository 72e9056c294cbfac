"""Prints how many of the project's files and functions one *Forget* on digits runs through.

Usage: `python -m tests.profile_forget [--list | --json]`.

It presses the page's own buttons, by their element ids, and follows the events that Gradio chains to *Forget*. What runs in worker
processes is not counted; a lambda or comprehension belongs to the function that contains it.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import json
import sys
import tempfile
import threading
from collections import defaultdict
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = tuple(str(ROOT / package) + "/" for package in ("core", "demo"))


class Recorder:
    """Notes the project's functions that run while it is switched on, in all threads that start after it was made."""

    def __init__(self) -> None:
        self.on = False
        self.functions: dict[str, set[str]] = defaultdict(set)
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    def _note(self, frame: FrameType, event: str, argument: object) -> None:
        if self.on and event == "call" and frame.f_code.co_flags & inspect.CO_OPTIMIZED and frame.f_code.co_filename.startswith(PACKAGES):
            name = frame.f_code.co_qualname.partition(".<locals>.<")[0]
            if not name.startswith("<"):
                self.functions[frame.f_code.co_filename.removeprefix(f"{ROOT}/")].add(name)

    def close(self) -> None:
        """Stop watching, in new threads and in this one."""
        self.on = False
        threading.setprofile(None)  # type: ignore[arg-type]
        sys.setprofile(None)


def events(demo: Any, element: str) -> list[Any]:
    """Return the Gradio functions that a click on an element runs, those chained to its first one included."""
    ids = {block._id for block in demo.blocks.values() if getattr(block, "elem_id", None) == element}
    found = [fn for fn in demo.fns.values() if any(target in ids and name == "click" for target, name in fn.targets)]
    for fn in found:  # grows while it is read: what is chained to a chained event follows, too
        found += [other for other in demo.fns.values() if other.trigger_after == fn._id]
    return found


async def press(demo: Any, element: str, *values: object) -> None:
    """Run a button's events one after the other."""
    for event in events(demo, element):
        result = event.fn(*values[: len(event.inputs)])
        if inspect.isasyncgen(result):
            async for _ in result:
                pass


def profile(cache: Path, number: int = 3) -> dict[str, set[str]]:
    """Fit digits (or load them from the cache), forget one image as the page does, and return the functions by file."""
    from demo.build import build_demo
    from demo.launch import open_labs

    recorder = Recorder()
    [lab] = open_labs(["digits"], ["fast"], cache)
    try:
        demo = build_demo(lab)
        lab.start().join()
        visitor = lab.enter()
        asyncio.run(press(demo, "lm-choose", visitor.token, [], None, str(number)))
        recorder.on = True
        asyncio.run(press(demo, "lm-forget", visitor.token, "result"))
        recorder.on = False
        assert visitor.requests, "nothing was forgotten"
    finally:
        recorder.close()
        lab.close()
    return dict(recorder.functions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="also print every function")
    parser.add_argument("--json", action="store_true", help="print the functions by file as JSON")
    parser.add_argument("--cache", type=Path, help="folder for fitted states (default: a temporary one)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        functions = profile(options.cache or Path(folder))
    if options.json:
        print(json.dumps({file: sorted(names) for file, names in sorted(functions.items())}))
        return
    for file, names in sorted(functions.items()) if options.list else ():
        print(f"{file}: {', '.join(sorted(names))}")
    print(f"{len(functions)} files, {sum(map(len, functions.values()))} functions")


if __name__ == "__main__":
    main()
