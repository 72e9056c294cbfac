"""Adds a Gradio site to a server that already runs, and takes it away again."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, cast

import gradio as gr
from fastapi import FastAPI
from starlette.routing import BaseRoute, Mount


@dataclass
class Mounted:
    """A site that was added to a running server."""

    app: FastAPI
    route: BaseRoute
    running: AsyncExitStack

    async def end(self) -> None:
        """Take the site away; its open pages lose their connection."""
        if self.route in self.app.router.routes:
            self.app.router.routes.remove(self.route)
        await self.running.aclose()


async def mount(app: FastAPI, path: str, blocks: gr.Blocks, options: dict[str, Any]) -> Mounted:
    """Serve the Blocks below a path of a running server; `options` are those of its `launch`."""
    before, lifespan = list(app.router.routes), app.router.lifespan_context
    gr.mount_gradio_app(app, blocks, path, ssr_mode=False, run_history=False, enable_monitoring=False, **options)
    app.router.lifespan_context = lifespan  # it has begun: what it would start is started here
    route = next(route for route in app.router.routes if route not in before)
    assert isinstance(route, Mount)
    app.router.routes.remove(route)
    app.router.routes.insert(0, route)  # before the paths of the other pages
    running, site = AsyncExitStack(), cast(FastAPI, route.app)
    await running.enter_async_context(site.router.lifespan_context(site))
    blocks.run_startup_events()
    await blocks.run_extra_startup_events()
    return Mounted(app, route, running)
