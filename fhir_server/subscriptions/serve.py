# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What a service with topics serves beside its own: `Subscription`, its operations, and the outbox of its types."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from fhir_server.bulk import callers
from fhir_server.context import Access, Context
from fhir_server.endpoint import KernelSettings
from fhir_server.interactions.serving import Serving, may_search
from fhir_server.outcome import Forbidden, Unprocessable
from fhir_server.search.parameters import Definition
from fhir_server.service import Interaction, ResourceType, Route, Service
from fhir_server.subscriptions.endpoint import check_endpoint
from fhir_server.subscriptions.filters import check_filters, criteria_query, filter_query
from fhir_server.subscriptions.operations import Events, Status
from fhir_server.subscriptions.ownership import OwnerOnly, is_operator, owned, owner_of
from fhir_server.subscriptions.settings import SubscriptionSettings
from fhir_server.subscriptions.store import Kept, SubscriptionStore
from fhir_server.subscriptions.topics import Change, Topic
from fhir_server.subscriptions.wanted import KEY, Wanted, wanted, without_secret
from fhir_server.subscriptions.worker import Worker

SUBSCRIPTION: Final = "Subscription"

_INTERACTIONS: Final[frozenset[Interaction]] = frozenset(
    {"read", "vread", "create", "update", "patch", "delete", "search", "history"}
)
_SEARCH: Final = (
    "contact", "criteria", "payload", "status", "type", "url", Definition("topic", "string", "Subscription.criteria"),
)  # fmt: skip
_HANDED: Final = "subscription-secret"


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """The subscriptions of one service, as its handlers reach them."""

    topics: Mapping[str, Topic]
    store: SubscriptionStore
    settings: SubscriptionSettings
    kernel: KernelSettings
    types: dict[str, Serving] = field(default_factory=dict)
    """The types of the service; filled when they are made."""

    def with_types(self, types: Mapping[str, Serving]) -> None:
        """Takes the types that topics are about. Raises `ValueError` for a topic that cannot be served."""
        self.types.update(types)
        for topic in self.topics.values():
            if topic.type not in types or topic.type == SUBSCRIPTION:
                raise ValueError(f"topic {topic.url}: the service does not serve {topic.type} for it")
            parameters = types[topic.type].parameters
            check_filters(topic, parameters)
            if topic.criteria is not None:
                for search in filter(None, (topic.criteria.previous, topic.criteria.current)):
                    criteria_query(search, parameters)

    def served(self, service: Service) -> Service:
        """The service with `Subscription` among its types."""
        kind = ResourceType(
            SUBSCRIPTION,
            Access.directory,
            _INTERACTIONS,
            search=_SEARCH,
            guard=OwnerOnly(),
            prepare=self._prepare,
            within=self._within,
            removed=self._removed,
            custodian=owner_of,
            operations=frozenset({"$meta", "$validate"}),
        )
        others = tuple(each for each in service.resources if each.name != SUBSCRIPTION)
        return replace(service, resources=(*others, kind))

    def routes(self) -> list[Route]:
        """The operations of `Subscription`."""
        path = f"/fhir/{SUBSCRIPTION}"
        status, events = Status(self.store, self.topics), Events(self.store, self.topics, self.types)
        return [
            Route(f"{path}{place}/${name}", handler, Access.directory, (SUBSCRIPTION, "r"), (method,), summary=summary)
            for place, name, handler, summary in (
                ("", "status", status, "State of subscriptions"),
                ("/{id}", "status", status, "State of a subscription"),
                ("/{id}", "events", events, "Events of a subscription, again"),
            )
            for method in ("GET", "POST")
        ]

    def worker(self) -> Worker:
        """What delivers."""
        return Worker(self.store, self.types, self.topics, self.settings, self.kernel)

    def watched(self, kind: str) -> bool:
        """Whether a topic is about the type."""
        return any(each.type == kind for each in self.topics.values())

    async def changed(
        self, connection: AsyncConnection, context: Context, resource: Mapping[str, Any], version: int, change: Change
    ) -> None:
        """Writes a change of a watched type to the outbox, in the transaction that makes it."""
        await self.store.emit(
            connection, resource["resourceType"], resource["id"], version, change, occurred=context.now
        )

    async def check(self, context: Context, asked: Wanted) -> Topic:
        """Raises `Unprocessable` or `Forbidden` unless what is asked for can be done for the caller."""
        topic = self.topics.get(asked.topic)
        if topic is None:
            raise Unprocessable(
                "criteria must be the canonical URL of a topic that is offered here; /fhir/metadata lists them in the "
                "extension capabilitystatement-subscriptiontopic-canonical of Subscription",
                expression="Subscription.criteria",
                code="unknown-topic",
            )
        serving = self.types[topic.type]
        for each in asked.filters:
            filter_query(topic, each, serving.parameters, now=context.now, base=context.base, limits=self.kernel.search)
        check_endpoint(asked.endpoint, self.settings)
        if asked.ends is not None and asked.ends <= context.now:
            raise Unprocessable("the Subscription has ended already", expression="Subscription.end")
        if not may_search(serving, context):
            raise Forbidden(f"the token lacks the scope {topic.type}.s", code="insufficient-scope")
        if serving.type.guard is not None:
            await serving.type.guard.policy(context)
        return topic

    async def _prepare(self, context: Context, resource: dict[str, Any]) -> dict[str, Any]:
        """Takes out the secret, sets the owner and the status: whoever asks for one in force gets it after a handshake.

        What is turned off may be anything that can be read: its endpoint may have gone.
        """
        context.handed.pop(_HANDED, None)
        resource, secret = without_secret(resource)
        asked = wanted(resource)
        if secret is not None:
            context.handed[_HANDED] = secret.encode()
        status = resource.get("status")
        if status in ("requested", "active"):
            await self.check(context, asked)
            status = "requested"
        elif asked.topic not in self.topics:
            raise Unprocessable("criteria must be the URL of a topic", expression="criteria", code="unknown-topic")
        kept = {name: value for name, value in resource.items() if name != "error" or status == "error"}
        return owned({**kept, "status": status}, context.caller)

    async def _within(self, connection: AsyncConnection, context: Context, resource: Mapping[str, Any]) -> None:
        asked = wanted(resource)
        whose = bytes.fromhex(owner_of(resource) or "")
        mine = whose == callers.owner(context.caller)
        secret = context.handed.pop(_HANDED, None)
        sealed = None if secret is None else self.settings.cipher.encrypt(secret, resource["id"].encode())
        kept = Kept(
            id=resource["id"],
            status=resource["status"],
            topic=self.topics[asked.topic],
            owner=whose,
            caller=callers.written(context.caller) if mine or not is_operator(context.caller) else None,
            base=context.base,
            secret=sealed,
            ends=asked.ends,
            heartbeat=asked.heartbeat,
        )
        signed = await self.store.keep(connection, kept, self.settings.per_owner)
        if not signed and not self.settings.unsigned:
            raise Unprocessable(
                f"the channel needs a secret in the extension {KEY} (valueString): notifications are signed with it",
                expression="Subscription.channel",
                code="secret-required",
            )

    async def _removed(self, connection: AsyncConnection, context: Context, resource: Mapping[str, Any]) -> None:
        await self.store.remove(connection, resource["id"])


def subscriptions_of(service: Service, engine: AsyncEngine, kernel: KernelSettings) -> Subscriptions | None:
    """What a service needs that has topics; None for others. Raises `ValueError`."""
    if not service.topics:
        return None
    if kernel.subscriptions is None:
        raise ValueError(f"{service.name} has topics and needs KernelSettings.subscriptions")
    topics = {each.url: each for each in service.topics}
    if len(topics) != len(service.topics):
        raise ValueError(f"{service.name}: two topics have the same URL")
    return Subscriptions(topics, SubscriptionStore(engine, service.name), kernel.subscriptions, kernel)
