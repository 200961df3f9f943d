"""Whom the dashboard answers: by which names, for which sites' pages."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from mnist_tune.dashboard.guards import remote_names
from mnist_tune.study.open_study import OpenStudy
from tests.support.dashboard_client import HOME, Client
from tests.support.studies import states


@pytest.mark.parametrize(
    "host", [HOME, "localhost:8080", "LOCALHOST:8080", "[::1]:8080", "127.0.0.1", "localhost:9000"]
)
def test_this_machine_is_answered_by_any_of_its_names_also_through_a_tunnel(
    guarded: Callable[..., Client], host: str
) -> None:
    assert guarded()("GET", "/api/studies", host=host).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example:8080",
        "10.0.0.1:8080",
        "[::1",
        "@localhost",
    ],
)
def test_a_request_under_another_name_is_refused_with_one_line(
    guarded: Callable[..., Client], host: str
) -> None:
    for method in ("GET", "DELETE"):
        reply = guarded()(method, "/api/studies/1", host=host)
        assert reply.status == 403
        assert reply.body.count(b"\n") == 1
        assert b"--host" in reply.body


def test_a_dashboard_for_others_goes_by_addresses_and_the_machines_own_names(
    guarded: Callable[..., Client],
) -> None:
    client = guarded(remote_names("0.0.0.0"))
    for name in (socket.gethostname(), "10.1.2.3", "[fe80::1]", "localhost"):
        assert client("GET", "/api/studies", host=f"{name}:8080").status == 200
    assert client("GET", "/api/studies", host="evil.example:8080").status == 403
    named = guarded(remote_names("Tuner.example"))
    assert named("GET", "/api/studies", host="tuner.example:8080").status == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://localhost:3000", "null", f"http://{HOME}0", "garbage"]
)
def test_another_sites_page_may_neither_read_nor_write(
    guarded: Callable[..., Client], worked_on: OpenStudy, origin: str
) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        assert guarded()(method, f"/api/studies/{worked_on.study_id}", origin=origin).status == 403
    assert len(states(worked_on)) == 9


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_may_link_to_the_dashboard_but_not_write(
    guarded: Callable[..., Client], site: str
) -> None:
    client = guarded()
    assert client("GET", "/dashboard", sec_fetch_site=site).status == 200
    assert client("DELETE", "/api/studies/1", sec_fetch_site=site).status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("mode", ["cors", "no-cors"])
def test_another_sites_page_may_not_have_the_dashboard_compute(
    guarded: Callable[..., Client], site: str, mode: str
) -> None:
    client, costly = guarded(), "/api/studies/1/param_importances"
    for method in ("GET", "HEAD"):
        assert client(method, costly, sec_fetch_site=site, sec_fetch_mode=mode).status == 403
    assert client("GET", "/dashboard", sec_fetch_site=site, sec_fetch_mode="navigate").status == 200
    assert client("GET", costly, sec_fetch_site="same-origin", sec_fetch_mode=mode).status == 200


def test_the_dashboards_own_page_may_write(guarded: Callable[..., Client], worked_on: OpenStudy) -> None:
    client, address = guarded(), f"/api/studies/{worked_on.study_id}/note"
    own = {"origin": f"http://{HOME}", "sec_fetch_site": "same-origin"}
    assert client("PUT", address, {"version": 1, "body": "mine"}, **own).status == 200


def test_a_file_of_a_trial_is_no_page_of_the_dashboard_and_not_for_other_sites(
    guarded: Callable[..., Client], worked_on: OpenStudy
) -> None:
    client = guarded()
    trial = client.detail(worked_on)["trials"][0]
    file = trial["artifacts"][0]["artifact_id"]
    reply = client("GET", f"/artifacts/{worked_on.study_id}/{trial['trial_id']}/{file}")
    assert reply.status == 200
    assert reply.headers["Content-Security-Policy"] == "sandbox"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in reply.headers
