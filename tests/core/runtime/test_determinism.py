import threading

import torch

from core.runtime.determinism import reproducible


def test_settings_hold_until_the_last_thread_is_done():
    """They are the process's: a thread that is done first must not loosen them under another one's training."""
    before = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    inside, done, seen = threading.Event(), threading.Event(), []

    def train():
        with reproducible():
            inside.set()
            done.wait(10)
            seen.append((torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()))

    thread = threading.Thread(target=train)
    with reproducible():
        thread.start()
        assert inside.wait(10)
    done.set()
    thread.join()
    assert seen == [(True, 1)]
    assert torch.are_deterministic_algorithms_enabled() == before[0]


def test_an_error_inside_restores_the_settings():
    before = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    try:
        with reproducible():
            raise ValueError
    except ValueError:
        pass
    assert (torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()) == before
