# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The way of a request: no handler can skip a step."""

from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from fhir_server.app import create_app, routes_of
from fhir_server.context import Access, Caller
from fhir_server.endpoint import KernelSettings
from fhir_server.service import Route, Service
from tests.fhir_server.conftest import Toy, echo, toy_service
from tests.support.callers import DENTIST, OPERATOR, SOURCE_NORR, ListAudit, TestAuthenticator, bearer

BODY = {"resourceType": "Parameters", "parameter": [{"name": "say", "valueString": "hej"}]}


async def test_an_operation_is_answered_and_recorded(toy: Toy) -> None:
    answer = await toy.http.post(toy.url("Patient/$echo"), json=BODY, headers=bearer(DENTIST))
    assert answer.json()["parameter"] == [{"name": "said", "valueString": "hej"}]
    ((caller, entry),) = toy.audit.entries
    assert (caller.user, entry.operation) == ("SE0000000044-D1", "echo")


async def test_without_a_token_nothing_is_told(toy: Toy) -> None:
    answer = await toy.http.post(toy.url("Patient/$echo"), json=BODY)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    ((caller, entry),) = toy.audit.entries
    assert (caller.client_id, entry.operation, entry.outcome, entry.count) == (
        "anonymous", "/fhir/Patient/$echo", "denied", 1,
    )  # fmt: skip


async def test_person_data_without_a_decision_is_withheld(toy: Toy) -> None:
    answer = await toy.http.post(toy.url("Patient/$forgetful"), headers=bearer(DENTIST))
    assert answer.status_code == 500
    assert "should never leave" not in answer.text


async def test_an_unforeseen_failure_tells_a_trace_id_and_nothing_else(
    toy: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = await toy.http.post(
        toy.url("Patient/$failing"), headers={**bearer(DENTIST), "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    )
    assert answer.status_code == 500
    assert trace in answer.text
    assert answer.headers["x-trace-id"] == trace
    assert "1212" not in answer.text + capsys.readouterr().out


async def test_the_callers_deadline_is_kept(toy: Toy) -> None:
    answer = await toy.http.post(
        toy.url("Patient/$slow"), headers={**bearer(DENTIST), "X-Deadline-Ms": "100"}, timeout=5
    )
    assert answer.status_code == 504


@pytest.mark.parametrize(
    ("path", "caller", "status"),
    [
        ("$administer", OPERATOR, 200),
        ("$administer", DENTIST, 403),
        ("$tell", SOURCE_NORR, 200),
        ("$tell", replace(OPERATOR, roles=frozenset()), 403),
        ("Patient/$echo", replace(DENTIST, scopes=frozenset({"user/Observation.rs"})), 403),
        ("Patient/$echo", replace(DENTIST, scopes=frozenset({"system/Patient.r"})), 403),
        ("Patient/$echo", replace(DENTIST, scopes=frozenset({"user/Patient.r"})), 200),
    ],
)
async def test_scope_role_and_access_class_are_enforced(toy: Toy, path: str, caller: Caller, status: int) -> None:
    answer = await toy.http.post(toy.url(path), json=BODY, headers=bearer(caller))
    assert answer.status_code == status, answer.text


async def test_a_denied_attempt_on_person_data_is_recorded(toy: Toy) -> None:
    await toy.http.post(
        toy.url("Patient/$echo"), json=BODY, headers=bearer(replace(DENTIST, scopes=frozenset({"user/X.r"})))
    )
    ((_, entry),) = toy.audit.entries
    assert (entry.outcome, entry.reason) == ("denied", "insufficient-scope")


def test_a_route_that_declares_no_scope_is_not_served() -> None:
    service = Service("bad", "Bad", "/bad", routes=(Route("/fhir/$x", echo, Access.directory),))
    with pytest.raises(ValueError, match="declares no scope"):
        create_app(service, engine=None, authenticator=TestAuthenticator(), audit=ListAudit())


def test_person_data_without_a_guard_is_not_served(engine: AsyncEngine) -> None:
    consent = next(each for each in toy_service().resources if each.name == "Consent")
    service = Service("bad", "Bad", "/bad", resources=(replace(consent, guard=None),))
    with pytest.raises(ValueError, match="needs a guard"):
        routes_of(service, engine, KernelSettings())
