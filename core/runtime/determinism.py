"""What decides the last bits of a floating-point number on this machine, and how to pin it while exact work runs.

`environment` names the device, the processor, the libraries with their kernels, and the variables that choose between kernels. It is
part of every cluster key, so a state trained under other kernels is never reused. `reproducible` pins threads, attention and precision.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import os
import platform
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import scipy.linalg  # noqa: F401  (loads SciPy's BLAS, so that threadpoolctl sees its kernel)
import torch
from threadpoolctl import ThreadpoolController
from torch.nn.attention import SDPBackend, sdpa_kernel

# One thread per process: the number of threads changes the order of sums, and so the bytes. Parallelism is by processes.
THREADS = 1
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with it, and reads it once
STEERING = (  # variables that make a library use other kernels or another precision than it would choose for this processor
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "MKL_CBWR",
    "MKL_DEBUG_CPU_TYPE",
    "MKL_ENABLE_INSTRUCTIONS",
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "DNNL_DEFAULT_FPMATH_MODE",
    "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
)
STEERING_CUDA = ("CUBLAS_WORKSPACE_CONFIG", "CUBLASLT_WORKSPACE_SIZE", "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE")


def environment(device: torch.device | str) -> dict[str, str]:
    """Return the facts that decide a training's bytes on this device, as strings."""
    return dict(_facts(str(device)))


@functools.cache
def _facts(device: str) -> dict[str, str]:
    kind = torch.device(device).type
    facts = {
        "device": kind,
        "machine": platform.machine(),
        "processor": processor(),
        "threads": str(THREADS),
        "torch": torch.__version__,
        "torch_build": hashlib.sha256(torch.__config__.show().encode()).hexdigest()[:16],
        "torch_kernels": torch.backends.cpu.get_cpu_capability(),
        "timm": importlib.metadata.version("timm"),
        "numpy": np.__version__,
        "scipy": importlib.metadata.version("scipy"),
        "blas": "; ".join(blas_kernels()),
        "attention": _attention().name.lower(),
        "steering": _steering(STEERING),
    }
    return facts | (_cuda_facts(torch.device(device)) if kind == "cuda" else {})


def _steering(names: tuple[str, ...]) -> str:
    return " ".join(f"{name}={os.environ[name]}" for name in names if name in os.environ)


def blas_kernels() -> list[str]:
    """Return name, version and kernel of the BLAS that NumPy and SciPy use, in the order numpy, scipy."""
    loaded = [c for c in _libraries().lib_controllers if c.user_api == "blas"]
    lines = []
    for package, config in (("numpy", np.show_config(mode="dicts")), ("scipy", scipy.show_config(mode="dicts"))):
        own = [c for c in loaded if f"{package}.libs" in c.filepath] or loaded
        built = config["Build Dependencies"]["blas"]
        kernels = sorted({f"{c.internal_api} {c.version} {getattr(c, 'architecture', None)}" for c in own})
        lines.append(f"{package}: {built.get('name')} {built.get('version')} ({', '.join(kernels) or 'kernel unknown'})")
    return lines


@functools.cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


def _cuda_facts(device: torch.device) -> dict[str, str]:
    capability = ".".join(map(str, torch.cuda.get_device_capability(device)))
    return {
        "gpu": f"{torch.cuda.get_device_name(device)} (compute capability {capability})",
        "driver": _driver(),
        "cuda": str(torch.version.cuda),
        "cudnn": str(torch.backends.cudnn.version()),
        "cublas": _cublas(),
        "steering_cuda": _steering(STEERING_CUDA),
        "precision": "TF32 off, reduced-precision sums off",  # set by `reproducible`
    }


def _driver() -> str:
    """Return the NVIDIA driver's own line about its version."""
    try:
        return Path("/proc/driver/nvidia/version").read_text(encoding="utf-8").splitlines()[0].strip()
    except (OSError, IndexError):
        return "unknown"


def _cublas() -> str:
    """Return the version of the cuBLAS package, or that of the CUDA release that PyTorch brings."""
    for name in ("nvidia-cublas", "nvidia-cublas-cu13", "nvidia-cublas-cu12"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return f"of CUDA {torch.version.cuda}"


def hardware() -> dict[str, str]:
    """Return what a reader of a timing needs to know about this machine: processor, cores, system, Python, PyTorch."""
    return {
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


@functools.cache
def processor() -> str:
    """Return the processor's name."""
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


def _attention() -> SDPBackend:
    """Return the attention kernel that exact work uses: on CUDA the plain one, whose backward pass is deterministic."""
    return SDPBackend.MATH if torch.cuda.is_available() else SDPBackend.FLASH_ATTENTION


_lock = threading.Lock()
_inside = 0  # blocks of `reproducible` that are open, in whichever threads
_outside = THREADS  # threads that PyTorch used before the first of them
_own = threading.local()  # `depth`: blocks that are open in this thread
_process = ExitStack()  # what the first block changed for the whole process, undone by the last


@contextmanager
def reproducible():
    """Pin one thread for PyTorch and BLAS, deterministic algorithms, full precision and one attention kernel.

    Blocks may overlap in several threads. A thread gets its own thread count back when its block ends; what holds for the whole
    process (BLAS threads, deterministic algorithms, precision, attention) ends with the last block.
    """
    global _inside, _outside
    depth = getattr(_own, "depth", 0)
    with _lock:
        before = torch.get_num_threads()
        if not _inside:
            _outside = before
            _pin_process()
        elif not depth:
            before = max(before, _outside)  # a thread that begins while another's block is open starts with one thread
        _inside, _own.depth = _inside + 1, depth + 1
        torch.set_num_threads(THREADS)
    try:
        yield
    finally:
        with _lock:
            _inside, _own.depth = _inside - 1, depth
            if not _inside:
                _process.close()
            _give_back(before)


def _pin_process() -> None:
    _process.callback(torch.set_num_threads, _outside)
    _process.enter_context(_libraries().limit(limits=THREADS, user_api="blas"))
    _process.callback(torch.set_deterministic_debug_mode, torch.get_deterministic_debug_mode())
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms(True), without importing PyTorch's compiler
    _process.enter_context(sdpa_kernel([_attention(), SDPBackend.MATH]))
    products = torch.backends.cuda.matmul
    for owner, name in (
        (products, "allow_tf32"),
        (products, "allow_fp16_reduced_precision_reduction"),
        (products, "allow_bf16_reduced_precision_reduction"),
        (torch.backends.cudnn, "allow_tf32"),
        (torch.backends.cudnn, "benchmark"),
    ):
        _process.callback(setattr, owner, name, getattr(owner, name))
        setattr(owner, name, False)


def _give_back(threads: int) -> None:
    """Let the calling thread use so many threads again; PyTorch's own setting would reach into other threads' open blocks."""
    for library in _libraries().lib_controllers:
        if library.user_api == "openmp":
            library.set_num_threads(threads)
