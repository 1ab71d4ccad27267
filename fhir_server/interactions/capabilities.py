# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""capabilities: https://hl7.org/fhir/R4/http.html#capabilities. Generated from what is really served."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from fhir_server.context import Access
from fhir_server.interactions.patch import JSON_PATCH, MERGE_PATCH
from fhir_server.resource import instant
from fhir_server.search.literals import PREFIXES
from fhir_server.search.parameters import SearchParameter, parameters_for
from fhir_server.search.query import HIERARCHY, MODIFIERS
from fhir_server.search.terminology import NEEDED
from fhir_server.service import Interaction, ResourceOperation, ResourceType, Service
from fhir_server.subscriptions.topics import Topic
from fhir_server.subscriptions.wanted import GUIDE, PROFILE

_CODES = {
    "read": "read",
    "vread": "vread",
    "create": "create",
    "update": "update",
    "patch": "patch",
    "delete": "delete",
    "search": "search-type",
}


_OPERATIONS = {
    "$everything": "http://hl7.org/fhir/OperationDefinition/Patient-everything",
    "$meta": "http://hl7.org/fhir/OperationDefinition/Resource-meta",
    "$validate": "http://hl7.org/fhir/OperationDefinition/Resource-validate",
}
_BULK = "http://hl7.org/fhir/uv/bulkdata/"
_TOPIC = f"{GUIDE}StructureDefinition/capabilitystatement-subscriptiontopic-canonical"
_SYSTEM_CODES = {"batch": "batch", "transaction": "transaction", "history": "history-system"}


def capability_statement(
    service: Service, base: str, now: datetime, terminology: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The CapabilityStatement of the running service. `terminology`: modifiers that a terminology service answers."""
    operations = list(_operations(service))
    bulk = [*service.operations, *(each.name for each in service.resources if "$export" in each.operations)]
    followed = [_BULK + "CapabilityStatement/bulk-data"] if bulk else []
    if service.topics:
        followed.append(GUIDE + "CapabilityStatement/backport-subscription-server-r4")
    instantiates = {"instantiates": followed} if followed else {}
    rest: dict[str, Any] = {
        "mode": "server",
        "security": {
            "service": [
                {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                            "code": "SMART-on-FHIR",
                        }
                    ]
                }
            ],
            "description": "OAuth 2 bearer tokens; every address but this one needs one.",
        },
    }
    patches: list[str] = []
    searched = _searched(service)
    resources = [_resource(each, searched) for each in service.resources]
    if service.topics:
        resources = [each | _topics(service) if each["type"] == "Subscription" else each for each in resources]
    for added in service.capability.get("rest", ()):
        resources += added.get("resource", ())
        rest["security"] = added.get("security", rest["security"])
    if resources:
        rest["resource"] = resources
    if any("patch" in each.interactions for each in service.resources):
        patches = [JSON_PATCH, "application/fhir+json", MERGE_PATCH]
    if service.interactions:
        rest["interaction"] = [{"code": _SYSTEM_CODES[each]} for each in sorted(service.interactions)]
    if searched:
        rest["documentation"] = _documentation(terminology)
    if operations:
        rest["operation"] = operations
    return {
        "resourceType": "CapabilityStatement",
        "name": service.name,
        "title": service.title,
        "status": "active",
        "date": instant(now),
        "kind": "instance",
        "description": service.description or service.title,
        "implementation": {"description": service.title, "url": base},
        **instantiates,
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        **({"patchFormat": patches} if patches else {}),
        **service.capability,
        "rest": [rest],
    }


def _topics(service: Service) -> dict[str, Any]:
    """What the Subscription resource says of the topics (components.html#subscription-topics of the backport)."""
    operations = {each[1:]: _OPERATIONS[each] for each in ("$meta", "$validate")}
    operations |= {each: f"{GUIDE}OperationDefinition/backport-subscription-{each}" for each in ("events", "status")}
    return {
        "extension": [{"url": _TOPIC, "valueCanonical": each.url} for each in service.topics],
        "supportedProfile": [PROFILE],
        "documentation": "\n".join(_described(each) for each in service.topics),
        "operation": [{"name": name, "definition": url} for name, url in sorted(operations.items())],
    }


def _described(topic: Topic) -> str:
    filters = ", ".join(each.parameter for each in topic.filters) or "nothing"
    return f"- `{topic.url}`: {topic.title}, on {', '.join(sorted(topic.changes))}; filters by {filters}"


def _operations(service: Service) -> Iterator[dict[str, Any]]:
    if "$export" in service.operations:
        yield {"name": "export", "definition": _BULK + "OperationDefinition/export"}
    for route in service.routes:
        name = route.path.rpartition("/$")[2]
        if "/$" in route.path and route.access is not Access.public:
            yield {
                "name": name,
                "definition": f"https://ndi.example/fhir/OperationDefinition/{service.name}-{name}",
                "documentation": route.summary or name,
            }


def _definition(operation: ResourceOperation, kind: str) -> str:
    if operation == "$export":
        return f"{_BULK}OperationDefinition/{kind.lower()}-export"
    return _OPERATIONS[operation]


def _codes(resource: ResourceType, interaction: Interaction) -> tuple[str, ...]:
    """How R4 names an interaction; the history of a whole type is never given where it holds person data."""
    if interaction != "history":
        return (_CODES[interaction],)
    return ("history-instance",) if resource.access is Access.person_data else ("history-instance", "history-type")


def _searched(service: Service) -> dict[str, dict[str, SearchParameter]]:
    """The parameters of every type that is searched."""
    return {
        each.name: parameters_for(each.name, each.search) for each in service.resources if "search" in each.interactions
    }


def _resource(resource: ResourceType, searched: Mapping[str, Mapping[str, SearchParameter]]) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "type": resource.name,
        "interaction": [{"code": code} for each in sorted(resource.interactions) for code in _codes(resource, each)],
        "supportedProfile": list(resource.profiles),
        "versioning": "versioned",
        "readHistory": "vread" in resource.interactions,
        "conditionalRead": "full-support" if "read" in resource.interactions else "not-supported",
        "updateCreate": "update" in resource.interactions,
        "conditionalCreate": "create" in resource.interactions,
        "conditionalUpdate": "update" in resource.interactions,
        "conditionalDelete": "single" if "delete" in resource.interactions else "not-supported",
    }
    if resource.operations:
        statement["operation"] = [
            {"name": each[1:], "definition": _definition(each, resource.name)} for each in sorted(resource.operations)
        ]
    if resource.name in searched:
        types = {"_id": "token", "_lastUpdated": "date"}
        types |= {code: parameter.type for code, parameter in searched[resource.name].items()}
        statement["searchInclude"] = _includes(resource.name, searched)
        statement["searchRevInclude"] = _reverse_includes(resource.name, searched)
        statement["searchParam"] = [{"name": code, "type": kind} for code, kind in sorted(types.items())]
    return {name: value for name, value in statement.items() if value != []}


def _documentation(terminology: frozenset[str]) -> str:
    """What searches take beside their parameters: R4 has no element for it."""
    modifiers = {**MODIFIERS, "token": MODIFIERS["token"] - (NEEDED - terminology)}
    told = [
        f"{kind} {' '.join(f':{each}' for each in sorted(names))}{' :[type]' if kind == 'reference' else ''}"
        for kind, names in modifiers.items()
    ]
    return (
        f"Modifiers of search parameters, by type: {'; '.join(told)}. References take :above and :below where their "
        f"target has a parameter {HIERARCHY}. Prefixes of date, number and quantity: {' '.join(PREFIXES)}. Every "
        "search takes chains, _has, _include and _revinclude (also :iterate), _sort, _count, _total, _summary, "
        "_elements, and _list where List is served. An unknown parameter is refused, unless "
        "Prefer: handling=lenient leaves it out."
    )


def _includes(kind: str, searched: Mapping[str, Mapping[str, SearchParameter]]) -> list[str]:
    """Where references of the type lead to something that is served; `*` is not offered."""
    return [
        f"{kind}:{code}"
        for code, parameter in sorted(searched[kind].items())
        if parameter.type == "reference"
        and (not parameter.target or any(each in searched for each in parameter.target))
    ]


def _reverse_includes(kind: str, searched: Mapping[str, Mapping[str, SearchParameter]]) -> list[str]:
    """What is served and may refer to the type."""
    return [
        f"{source}:{code}"
        for source, parameters in sorted(searched.items())
        for code, parameter in sorted(parameters.items())
        if parameter.type == "reference" and (not parameter.target or kind in parameter.target)
    ]
