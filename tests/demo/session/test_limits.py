import pytest

from demo.session.limits import Rate, TooOftenError


def test_calls_beyond_the_limit_are_refused_until_the_window_has_passed():
    rate = Rate(most=3, window=60)
    for now in (0.0, 1.0, 2.0):
        rate.count(now)
    with pytest.raises(TooOftenError, match=r"3 requests within 60 s.*Try again in 50 s"):
        rate.count(10.0)
    rate.count(60.0)
    with pytest.raises(TooOftenError):
        rate.count(60.5)
