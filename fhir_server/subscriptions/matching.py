# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Whether a change is an event of a Subscription: the topic's criteria, then the Subscription's filters."""

from collections.abc import Sequence
from typing import Any

import orjson

from fhir_server.interactions.serving import Serving
from fhir_server.search.query import Query
from fhir_server.search.version import select_holds
from fhir_server.subscriptions.filters import criteria_query
from fhir_server.subscriptions.store import Event, SubscriptionStore
from fhir_server.subscriptions.topics import Topic


class Matching:
    """Holds changes against one Subscription."""

    def __init__(
        self, store: SubscriptionStore, serving: Serving, topic: Topic, filters: Sequence[Query], base: str
    ) -> None:
        self._store, self._serving, self._topic = store, serving, topic
        self._filters, self._base = filters, base

    async def matches(self, event: Event) -> bool:
        """Whether the topic's criteria and all filters hold; filters of a deletion on what was deleted."""
        if not event.body:
            return False
        resource = orjson.loads(event.body)
        if not await self._triggered(event, resource):
            return False
        for each in self._filters:
            if not await self._holds(event, resource, each):
                return False
        return True

    async def _triggered(self, event: Event, resource: Any) -> bool:
        """https://hl7.org/fhir/R5/subscriptiontopic-definitions.html#SubscriptionTopic.resourceTrigger.queryCriteria."""
        criteria = self._topic.criteria
        if criteria is None:
            return True
        results: list[bool] = []
        if criteria.previous:
            body = event.body if event.change == "delete" else await self._store.previous(event)
            query = criteria_query(criteria.previous, self._serving.parameters)
            results.append(
                criteria.create_passes if body is None else await self._holds(event, orjson.loads(body), query)
            )
        if criteria.current:
            query = criteria_query(criteria.current, self._serving.parameters)
            results.append(
                criteria.delete_passes if event.change == "delete" else await self._holds(event, resource, query)
            )
        return all(results) if criteria.both else not results or any(results)

    async def _holds(self, event: Event, resource: Any, query: Query) -> bool:
        serving = self._serving
        return await self._store.holds(
            select_holds(serving.tables, resource, event.occurred, serving.parameters, query, self._base)
        )
