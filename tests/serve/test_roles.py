"""Each role may do what the weaker ones may, and no more."""

from __future__ import annotations

from mnist_tune.serve.roles import Role


def test_a_role_allows_itself_and_the_weaker_ones() -> None:
    allowed = {(has, needed) for has in Role for needed in Role if has.allows(needed)}
    assert allowed == {
        (Role.VIEWER, Role.VIEWER),
        (Role.WORKER, Role.VIEWER),
        (Role.WORKER, Role.WORKER),
        (Role.ADMIN, Role.VIEWER),
        (Role.ADMIN, Role.WORKER),
        (Role.ADMIN, Role.ADMIN),
    }
