"""One *Forget* on digits, with its card and the proof that begins by itself, does not get longer.

The aim is 25 files and 200 functions: lower the limits as it gets shorter.
"""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT

MOST_FILES, MOST_FUNCTIONS = 68, 475


@pytest.mark.slow
def test_one_forget_does_not_get_longer(cache):
    command = [sys.executable, "-m", "tests.profile_forget", "--json", "--cache", str(cache)]  # Gradio leaves event loops open
    functions = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
    numbers = {file: len(names) for file, names in functions.items()}
    assert 20 < len(numbers) <= MOST_FILES, numbers
    assert sum(numbers.values()) <= MOST_FUNCTIONS, numbers
