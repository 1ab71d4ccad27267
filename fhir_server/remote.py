# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""How a client of one service calls another over HTTP: token, trace and deadline travel, errors come back as they were.

Used by the `Http…` classes of every `client.py`.
"""

from collections.abc import Mapping
from typing import Any

import httpx2
import orjson

from fhir_server.context import Context
from fhir_server.outcome import BadGateway, DeadlineExceeded, Unavailable, error_from_outcome
from fhir_server.parameters import Parameters
from fhir_server.trace import traceparent

__all__ = ["call", "invoke"]


async def invoke(http: httpx2.AsyncClient, context: Context, url: str, parameters: Parameters) -> Parameters:
    """Calls the operation at `url` and gives its Parameters.

    Raises what the service raised, or as `call` does; reading from an answer that is not in the service's own form
    raises `BadGateway`, since the caller asked nothing wrong.
    """
    return Parameters.of(await call(http, context, "POST", url, parameters.resource()), fault=BadGateway)


async def call(
    http: httpx2.AsyncClient,
    context: Context,
    method: str,
    url: str,
    body: Mapping[str, Any] | None = None,
    *,
    form: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """One call on the caller's behalf with a resource or a form as body; gives the resource that is answered.

    Raises the error that the service told, `Unavailable` when it cannot be reached, `DeadlineExceeded` when the time
    left ran out, `BadGateway` when the answer is no JSON object.
    """
    left = context.time_left()
    headers = {
        "Authorization": f"Bearer {context.token}",
        "Accept": "application/fhir+json",
        "traceparent": traceparent(context.trace_id),
        "X-Deadline-Ms": str(max(1, int(left * 1000))),
    }
    if body is not None:
        headers["Content-Type"] = "application/fhir+json"
    try:
        answer = await http.request(
            method,
            url,
            content=None if body is None else orjson.dumps(body),
            data=form,
            headers=headers,
            timeout=left,
            follow_redirects=False,
        )
    except httpx2.TimeoutException:
        raise DeadlineExceeded("the time given for this request has run out") from None
    except httpx2.HTTPError as error:
        raise Unavailable("a service that must answer cannot be reached; try again") from error
    try:
        resource = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        resource = None
    if answer.status_code >= 400:
        raise error_from_outcome(answer.status_code, resource if isinstance(resource, dict) else {})
    if not isinstance(resource, dict):
        raise BadGateway("a service answered with something that is no FHIR resource")
    return resource
