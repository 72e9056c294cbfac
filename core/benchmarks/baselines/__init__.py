"""The methods that LMEraser is compared with, one file each, under the contract of `method.Method`.

Must not import audits or workspaces.
"""

from core.benchmarks.baselines.comparison import CHANGES, METHODS, ON_REQUEST, FittedMethods, build_methods, check_methods
from core.benchmarks.baselines.full_refit import unfitted
from core.benchmarks.baselines.lmeraser import PARTS
from core.benchmarks.baselines.method import Cost, Method, Questions, eraser_flops
from core.benchmarks.baselines.one_prompt import one_prompt

__all__ = [
    "CHANGES",
    "METHODS",
    "ON_REQUEST",
    "PARTS",
    "Cost",
    "FittedMethods",
    "Method",
    "Questions",
    "build_methods",
    "check_methods",
    "eraser_flops",
    "one_prompt",
    "unfitted",
]
