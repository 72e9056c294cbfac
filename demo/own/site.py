"""The routes behind the page for one's own images, and the sets of images that are open."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from core.data.imports.options import FITS
from core.data.named_sets import NAMED, at_hand
from core.errors import InputError, LMEraserError
from core.runtime.executors import LocalExecutor
from demo.build import build_demo, launch_options
from demo.own import words
from demo.own.image_set import MIB, MOST_BYTES, MOST_IMAGES, ImageSet
from demo.own.mounting import mount
from demo.session.jobs import Jobs
from demo.session.lab import Lab

HERE = Path(__file__).parent
PATH = "own"
HEADER = "x-lmeraser"  # a page of another site cannot send it without asking first, and is not allowed to
MOST_SETS = 4  # open at once
KEPT = 3600.0  # seconds after which a set that nobody looks at is deleted
LOOKED = 60.0  # seconds between two looks for such sets
FIRST_FIT = 4.2  # times full retraining, an image: with features and map, measured on 5,000 images; used until one has run here
JSON_BYTES = 10_000  # most of what a page says beside its files


class OwnImages:
    """All sets of images that visitors have brought; `attach` adds the page to a running server."""

    def __init__(self, jobs: Jobs, home: Lab | None = None, size: int = 48, data_dir: str | Path | None = None):
        """`jobs`: the queues, shared with the site's other labs. `home`: the site's first lab, with which the turn to fit is shared.

        `size`: the backbone's input side, px. `data_dir`: where public sets are looked for before they are fetched.
        """
        self._data_dir, self._home = data_dir, home
        self._jobs, self._turn, self._size = jobs, home.turn if home is not None else threading.Lock(), size
        self._executor = LocalExecutor()
        self._sets: dict[str, ImageSet] = {}
        self._building = asyncio.Lock()
        self._app: FastAPI | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def attach(self, app: FastAPI) -> None:
        """Add the page and what it calls; all of it lies below `own/`."""
        self._app = app
        calls = (
            ("", self.page, "GET"),
            ("/new", self.new, "POST"),
            ("/{token}/file", self.file, "PUT"),
            ("/{token}/check", self.check, "POST"),
            ("/{token}/state", self.state, "GET"),
            ("/{token}/open", self.open, "POST"),
            ("/{token}", self.delete, "DELETE"),
        )
        routes = [Route(f"/{PATH}{path}", _answered(handler), methods=[method]) for path, handler, method in calls]
        app.router.routes[:0] = [*routes, Route(f"/{PATH}/", lambda request: RedirectResponse(f"../{PATH}"))]

    async def page(self, request: Request) -> Response:
        """Return the page."""
        return HTMLResponse(_page({name: at_hand(name, self._data_dir) for name in NAMED}, self._ready(MOST_IMAGES)))

    async def new(self, request: Request) -> Response:
        """Begin a set, of files that follow or of a public set's name; return its token."""
        name = str((await _json(request)).get("name") or "")
        if name and name not in NAMED:
            raise InputError(words.NO_SUCH_SET.format(", ".join(NAMED)))
        self._loop = asyncio.get_running_loop()
        await self._delete_idle()
        if len(self._sets) >= MOST_SETS:
            raise InputError(words.FULL.format(len(self._sets)))
        images = ImageSet(self._size, name, self._data_dir)
        self._sets[images.token] = images
        if len(self._sets) == 1:
            self._look_later()
        return JSONResponse({"token": images.token})

    async def file(self, request: Request) -> Response:
        """Take one file, block by block; `path` in the address is its path in the set."""
        images = self._found(request)
        path = images.place(request.query_params.get("path", ""))
        try:
            with path.open("wb") as out:
                async for block in request.stream():
                    images.receive(len(block))
                    out.write(block)
        except BaseException as error:
            path.unlink(missing_ok=True)
            if isinstance(error, ClientDisconnect):
                return Response(status_code=499)
            if isinstance(error, OSError):
                raise InputError(f"{path.name[:60]} cannot be written here ({error.strerror}). Rename it, or drop a zip.") from error
            raise
        return JSONResponse({})

    async def check(self, request: Request) -> Response:
        """Start to read the images, with what the page says of them."""
        said = await _json(request)
        fit = str(said.get("fit"))
        columns = {what: name for what in words.COLUMNS if (name := str(said.get(f"{what}_column") or "").strip()[:200])}
        self._found(request).check(fit if fit in FITS else FITS[0], str(said.get("label") or "")[:200], columns)
        return JSONResponse({})

    async def state(self, request: Request) -> Response:
        """Return how far the reading is, and the report when it is done."""
        state = await asyncio.to_thread(self._found(request).state)
        return JSONResponse(state | {"ready": self._ready(state.get("images", 0))})

    async def open(self, request: Request) -> Response:
        """Mount a site for the set, once, and return its address."""
        images = self._found(request)
        assert self._app is not None
        path = f"/{PATH}/{images.token}/lab"
        async with self._building:
            if images.mounted is None:
                build = functools.partial(build_demo, jobs=self._jobs, own=f"../../../{PATH}#{images.token}", back=True)
                blocks = await asyncio.to_thread(asyncio.run, _built(lambda: images.open(self._executor, self._turn, build)))
                blocks.queue(max_size=50)
                images.mounted = await mount(self._app, path, blocks, launch_options())
        return JSONResponse({"address": f"{PATH}/{images.token}/lab/"})

    async def delete(self, request: Request) -> Response:
        """Delete the set, and return what a search for its remains has found."""
        images = self._found(request)
        del self._sets[images.token]
        return JSONResponse(await images.delete())

    def _ready(self, images: int) -> str:
        """Return about how long the lab on so many images takes to be ready here; empty while nothing was measured."""
        seen = [images.pace for images in self._sets.values() if images.pace]
        if not seen and self._home is not None and self._home.measured and self._home.base and self._home.base.model:
            seen = [FIRST_FIT * self._home.measured.scaled_to(1) * self._home.base.model.pace]
        return words.ready(images * max(seen)) if seen and images else ""

    async def _delete_idle(self) -> None:
        for token, images in list(self._sets.items()):
            if images.idle > KEPT:
                self._sets.pop(token, None)
                await images.delete()

    def _look(self) -> None:
        """Delete idle sets, and look again later as long as there is any."""
        if self._loop is None or self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._delete_idle(), self._loop).result()
        if self._sets:
            self._look_later()

    def _look_later(self) -> None:
        timer = threading.Timer(LOOKED, self._look)
        timer.daemon = True
        timer.start()

    def _found(self, request: Request) -> ImageSet:
        images = self._sets.get(request.path_params["token"])
        if images is None:
            raise InputError(words.UNKNOWN)
        images.seen_now()
        return images

    def close(self) -> None:
        """Delete everything, at the end of the program."""
        while self._sets:
            self._sets.popitem()[1].end()


def _answered(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Return the handler for the server: only the page itself may change anything, and errors become sentences."""

    async def answer(request: Request) -> Response:
        if request.method != "GET" and HEADER not in request.headers:
            return JSONResponse({"error": words.FOREIGN}, 403)
        try:
            return await handler(request)
        except LMEraserError as error:
            status = 404 if str(error) == words.UNKNOWN else 400
            return JSONResponse({"error": str(error)}, status)

    assert inspect.iscoroutinefunction(handler)
    return answer


async def _json(request: Request) -> dict[str, Any]:
    """Return what the page says; raises InputError for anything else than a small object."""
    content = bytearray()
    async for block in request.stream():
        content += block
        if len(content) > JSON_BYTES:
            raise InputError(f"The page said {len(content):,} bytes; {JSON_BYTES:,} are the most.")
    try:
        said = json.loads(content or b"{}")
    except ValueError as error:
        raise InputError("What the page said is not JSON. Open the page again.") from error
    if not isinstance(said, dict):
        raise InputError("What the page said is no object. Open the page again.")
    return said


async def _built(build: Callable[[], gr.Blocks]) -> gr.Blocks:
    """Return what is built, in a thread with an event loop, without which Gradio would leave one open."""
    return build()


def _page(known: dict[str, bool], ready: str) -> str:
    """Return the page; `known` are the public sets, and whether each is at hand. `ready`: when a lab on one will be, in words."""
    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)
    style, script = ((HERE / name).read_text("utf-8") for name in ("page.css", "page.js"))
    limits = words.limits(MOST_BYTES // MIB, MOST_IMAGES)
    sets = []
    for name, here in known.items():
        source = NAMED[name]
        if here or source:
            where = words.AT_HAND if here or not source else words.FETCHED.format(source.megabytes)
            sets.append((name, words.SETS[name], where + (words.READY_SET.format(ready) if ready else "")))
    public = words.PUBLIC.format(MOST_IMAGES)
    return environment.get_template("page.html").render(words=words, style=style, script=script, limits=limits, sets=sets, public=public)
