"""What floating point depends on: device kind, instruction set, threads and library versions. Part of every cluster key."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import threading
from contextlib import contextmanager

import torch

# One thread per process: the number of threads changes the order of sums, and so the bytes. Parallelism is by processes.
THREADS = 1
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with it, and reads it once


@functools.cache
def _version(package: str) -> str:
    return importlib.metadata.version(package)


def environment(device: torch.device) -> dict[str, str]:
    """Return the facts that decide a training's bytes on this device, as strings."""
    facts = {
        "device": device.type,
        "machine": platform.machine(),
        "threads": str(THREADS),
        "torch": torch.__version__,
        "timm": _version("timm"),
        "numpy": _version("numpy"),
    }
    if device.type == "cuda":
        facts |= {"gpu": torch.cuda.get_device_name(device), "cuda": str(torch.version.cuda), "cudnn": str(torch.backends.cudnn.version())}
    else:
        facts["capability"] = torch.backends.cpu.get_cpu_capability()
    return facts


def hardware() -> dict[str, str]:
    """Return what a reader of a timing wants to know of this machine: processor, cores, system, Python."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def default_device() -> torch.device:
    """Return the accelerator if PyTorch sees one (CUDA, then MPS), else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


_lock = threading.Lock()
_inside = 0  # blocks of `reproducible` that are open, in whichever threads
_outside: tuple[int, bool, bool] = (THREADS, False, False)  # what the last of them restores


@contextmanager
def reproducible():
    """Pin one thread and deterministic algorithms for the calling thread's work; restore both when no thread needs them any more.

    PyTorch keeps these settings for the whole process: restored by one thread, they would change under another one's training.
    """
    global _inside, _outside
    with _lock:
        if not _inside:
            warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
            _outside = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), warn_only
        _inside += 1
        torch.set_num_threads(THREADS)
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                torch.set_num_threads(_outside[0])
                torch.use_deterministic_algorithms(_outside[1], warn_only=_outside[2])
