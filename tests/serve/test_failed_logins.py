"""After ten failures in a minute an address must wait; memory is bounded."""

from __future__ import annotations

import pytest

from mnist_tune.serve import failed_logins
from mnist_tune.serve.failed_logins import MOST_FAILURES, WITHIN_SECONDS, FailedLogins
from tests.support.clocks import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def logins(clock: Clock) -> FailedLogins:
    return FailedLogins(clock.monotonic)


def fail(logins: FailedLogins, address: str, times: int = MOST_FAILURES) -> None:
    for _ in range(times):
        assert logins.seconds_to_wait(address) == 0
        logins.failed(address)


def test_after_ten_failures_an_address_waits_and_others_do_not(logins: FailedLogins) -> None:
    fail(logins, "192.0.2.1", 9)
    assert logins.seconds_to_wait("192.0.2.1") == 0
    logins.failed("192.0.2.1")
    assert logins.seconds_to_wait("192.0.2.1") == WITHIN_SECONDS
    assert logins.seconds_to_wait("192.0.2.2") == 0


def test_the_wait_ends_a_minute_after_the_first_of_the_ten_failures(
    logins: FailedLogins, clock: Clock
) -> None:
    for _ in range(10):
        logins.failed("192.0.2.1")
        clock.seconds += 2
    assert logins.seconds_to_wait("192.0.2.1") == 40
    clock.seconds += 39.5
    assert logins.seconds_to_wait("192.0.2.1") == 1
    clock.seconds += 0.5
    fail(logins, "192.0.2.1", 1)
    assert logins.seconds_to_wait("192.0.2.1") == 2, "ten in the last minute again: the second is 58 s old"


def test_failures_that_are_spread_out_are_mistakes(logins: FailedLogins, clock: Clock) -> None:
    for _ in range(100):
        fail(logins, "192.0.2.1", 1)
        clock.seconds += WITHIN_SECONDS / MOST_FAILURES + 0.1


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("", "", True),
        ("a socket", "another socket", False),
    ],
)
def test_a_network_of_ipv6_is_one_address_since_one_machine_may_have_all_of_it(
    logins: FailedLogins, one: str, other: str, are_one: bool
) -> None:
    fail(logins, one)
    assert (logins.seconds_to_wait(other) > 0) == are_one


def test_memory_is_bounded_and_the_busiest_attacker_is_not_the_one_forgotten(
    logins: FailedLogins, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failed_logins, "MOST_ADDRESSES", 100)
    fail(logins, "192.0.2.1")
    for number in range(1000):
        logins.failed(f"10.0.{number // 250}.{number % 250}")
        if number % 50 == 0:
            logins.failed("192.0.2.1")
    assert logins.seconds_to_wait("192.0.2.1") > 0
    assert logins.remembered == 100
    clock.seconds += WITHIN_SECONDS
    logins.failed("192.0.2.9")
    assert logins.remembered == 1


def test_a_long_address_takes_no_more_room(logins: FailedLogins) -> None:
    fail(logins, "x" * 1_000_000)
    assert logins.seconds_to_wait("x" * 2_000_000) > 0
