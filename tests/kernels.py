"""The kernel sets that this processor can run: variables for a subprocess, by name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

AVX512 = {"avx512f", "avx512bw", "avx512dq", "avx512vl"}
SETS = {
    "default": {},
    "Haswell": {"OPENBLAS_CORETYPE": "Haswell", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "Zen, two threads": {"OPENBLAS_CORETYPE": "Zen", "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"},
    "Sandybridge": {"OPENBLAS_CORETYPE": "Sandybridge", "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "AVX"},
    "Nehalem, one thread": {
        "OPENBLAS_CORETYPE": "Nehalem",
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    },
    "SkylakeX": {"OPENBLAS_CORETYPE": "SkylakeX", "ATEN_CPU_CAPABILITY": "avx512", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
}
NEEDS = {"Haswell": {"avx2", "fma"}, "Zen, two threads": {"avx2", "fma"}, "Sandybridge": {"avx"}, "SkylakeX": AVX512}


def flags() -> set[str]:
    """Return the instruction sets of this processor as Linux names them; empty where it does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return set(next((line.split(":", 1)[1] for line in lines if line.startswith("flags")), "").split())


def runnable(name: str) -> bool:
    """Return whether this processor has the instructions that a set of kernels uses."""
    return NEEDS.get(name, set()) <= flags()


def run(name: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    """Run `python ARGUMENTS` under a set of kernels; the variables of other sets are taken away first."""
    steering = {variable for chosen in SETS.values() for variable in chosen}
    env = {k: v for k, v in os.environ.items() if k not in steering} | SETS[name] | variables
    return subprocess.run([sys.executable, *arguments], env=env, capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False)
