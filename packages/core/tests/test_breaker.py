"""What is down is left alone, and tried again by one caller at a time."""

from __future__ import annotations

import pytest

from tijolo.core.breaker import Breaker


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_few_failures_in_a_row_open_it_and_one_answer_closes_it():
    breaker = Breaker(1.0, clock=Clock())
    assert [breaker.failed(), breaker.failed()] == [False, False]
    assert breaker.may_try()
    assert breaker.answered() == 0
    opened = [breaker.failed() for _ in range(4)]
    assert opened == [False, False, True, False]
    assert breaker.is_open
    assert not breaker.may_try()
    assert breaker.answered() == 4
    assert breaker.may_try()
    assert breaker.failures == 0


def test_while_it_is_open_one_in_a_while_tries():
    clock = Clock()
    breaker = Breaker(1.0, failures_to_open=1, clock=clock)
    breaker.failed()
    allowed = []
    for tenth in range(40):
        clock.now = tenth / 10
        allowed += [tenth for _ in range(5) if breaker.may_try()]
    assert allowed == [10, 20, 30]
    breaker.failed()  # the time counts from the failure
    clock.now += 0.9
    assert not breaker.may_try()


def test_without_a_time_everybody_tries():
    breaker = Breaker(0, failures_to_open=1, clock=Clock())
    breaker.failed()
    assert [breaker.may_try() for _ in range(3)] == [True] * 3


@pytest.mark.parametrize(("seconds", "failures"), [(-1, 3), (1, 0)])
def test_numbers_that_make_no_sense(seconds, failures):
    with pytest.raises(ValueError, match="needs"):
        Breaker(seconds, failures_to_open=failures)
