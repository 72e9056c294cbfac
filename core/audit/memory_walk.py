"""Walks the objects of this process: every text, array and tensor that can be reached from a model, from modules and from queues.

The residue scan uses it to find copies of forgotten samples in memory. Only containers, dataclasses and objects of the named packages
are looked into; objects of libraries are not.
"""

from __future__ import annotations

import functools
import gc
import sys
import threading
import traceback
import types
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any

import numpy as np
import torch

PACKAGES = (__name__.partition(".")[0],)  # whose objects and modules are looked into, unless the caller names others


def registries_of(eraser: Any, packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """Return what belongs to a fitted model in this process: the model, the caches of the packages' modules, the queues to workers."""
    return {"model": eraser, "modules": module_caches(packages), "worker queues": queue_leftovers()}


def module_caches(packages: Sequence[str] = PACKAGES) -> types.SimpleNamespace:
    """Return the values in the packages' loaded modules, each under its full name, functions' caches included."""
    values: dict[str, Any] = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in packages and module is not None:
            values |= {f"{name}.{key}": value for key, value in list(vars(module).items()) if not key.startswith("__")}
    return types.SimpleNamespace(**{name: v for name, v in values.items() if not isinstance(v, types.ModuleType)})


def queue_leftovers() -> list[dict[str, Any]]:
    """Return the local variables of the threads that feed worker processes: they still hold the last job that was sent."""
    feeders = {t.ident for t in threading.enumerate() if t.name.startswith("QueueFeeder")}
    frames = [frame for ident, frame in sys._current_frames().items() if ident in feeders]
    return [dict(outer.f_locals) for frame in frames for outer, _ in traceback.walk_stack(frame)]


def buffers(value: Any, name: str, packages: Sequence[str] = PACKAGES) -> Iterator[tuple[str, Any]]:
    """Yield (where, bytes) of everything reachable from a value through containers and objects of the packages.

    A view yields the whole memory of the array that it was cut from. Names hold no keys, since these may be ids:
    `model.entries[].feature`. Attributes that a class lists in `SHARED` are left out: they belong to another owner.
    """
    seen: set[int] = set()
    alive = []  # keeps every item alive, so that no id() is used twice
    waiting = deque([(name, value)])
    while waiting:
        place, item = waiting.popleft()
        if id(item) in seen or isinstance(item, (bool, int, float, type(None), torch.nn.Module)):
            continue
        seen.add(id(item))
        alive.append(item)
        data = _leaf(item, seen)
        if data is not None:
            yield place, data
        else:
            waiting.extend(_inside(place, item, packages))


def _leaf(item: Any, seen: set[int]) -> Any:
    """Return the bytes of a text, an array or a tensor; None for anything else, and no bytes for memory seen before."""
    if isinstance(item, str):
        return item.encode("utf-8", "surrogatepass")
    if isinstance(item, (bytes, bytearray, memoryview)):
        return memoryview(item).cast("B") if isinstance(item, memoryview) and item.contiguous else bytes(item)
    if not isinstance(item, (np.ndarray, torch.Tensor)) or (isinstance(item, np.ndarray) and item.dtype.hasobject):
        return None
    whole = _owner(item)
    start = whole.__array_interface__["data"][0]
    if start in seen:
        return b""
    seen.add(start)
    return np.ascontiguousarray(whole).reshape(-1).view(np.uint8).data


def _owner(item: np.ndarray | torch.Tensor) -> np.ndarray:
    """Return all the memory that an array or tensor keeps alive, as one array."""
    while isinstance(item, np.ndarray) and isinstance(item.base, np.ndarray):
        item = item.base
    if isinstance(item, np.ndarray) and isinstance(item.base, (bytes, bytearray)):
        return np.frombuffer(item.base, np.uint8)
    tensor = item if isinstance(item, torch.Tensor) else item.base
    if not isinstance(tensor, torch.Tensor):
        return np.asarray(item)
    return torch.empty(0, dtype=torch.uint8).set_(tensor.detach().cpu().untyped_storage()).numpy()


def _inside(place: str, item: Any, packages: Sequence[str]) -> Iterable[tuple[str, Any]]:
    """Return what an object holds, with names; nothing for objects of other packages."""
    if isinstance(item, Mapping):
        return [(f"{place}[]", part) for pair in list(item.items()) for part in pair]
    if isinstance(item, (list, tuple, set, frozenset, deque)):
        return [(f"{place}[]", part) for part in list(item)]
    if isinstance(item, np.ndarray):
        return [(f"{place}[]", part) for part in item.reshape(-1).tolist()]
    if isinstance(item, functools._lru_cache_wrapper):
        return [(f"{place}()", part) for part in _cached(item)]
    if isinstance(item, type):
        own = item.__module__.partition(".")[0] in packages
        return [(f"{place}.{key}", part) for key, part in list(vars(item).items()) if own and not key.startswith("__")]
    if isinstance(item, types.FunctionType) and item.__module__.partition(".")[0] in packages:
        cells = [cell.cell_contents for cell in item.__closure__ or () if _filled(cell)]
        return [(place, part) for part in (*cells, *(item.__defaults__ or ()))]
    if isinstance(item, (functools.partial, types.MethodType)):
        parts = (item.func, item.args, item.keywords) if isinstance(item, functools.partial) else (item.__self__,)
        return [(place, part) for part in parts]
    if type(item).__module__.partition(".")[0] in packages or is_dataclass(item) or isinstance(item, types.SimpleNamespace):
        shared = getattr(type(item), "SHARED", ())
        return [(f"{place}.{key}", part) for key, part in list(getattr(item, "__dict__", {}).items()) if key not in shared]
    return ()


def _cached(function: Any) -> list[Any]:
    """Return the arguments and results that `functools.lru_cache` keeps for a function."""
    return [part for part in gc.get_referents(function) if not (isinstance(part, dict) and "__wrapped__" in part)]


def _filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True
