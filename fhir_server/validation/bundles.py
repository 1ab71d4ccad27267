# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What stands around a value: its resource, the resource that contains it, the bundle; and the rules of bundles.

https://hl7.org/fhir/R4/bundle.html#references
"""

from collections import Counter
from collections.abc import Iterator
import re
from typing import Any, Final

from fhir_server.validation.definitions import kind
from fhir_server.validation.fhirpath import Node, node_of
from fhir_server.validation.policy import WRITE, Policy
from fhir_server.validation.problem import Problem

_ABSOLUTE: Final = re.compile(r"[a-z][a-z0-9+.\-]*:\S+", re.IGNORECASE | re.ASCII)
_ONCE: Final = frozenset({"self", "first", "previous", "prev", "next", "last"})
_URL: Final = "give an absolute URL, or urn:uuid:… if there is none"
_OTHER: Final = "type and id in it are those of the resource"
_TWICE: Final = "each of self, first, previous, next, last stands once"
_REST_URL: Final = re.compile(r"https?://.*/([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})", re.ASCII)


class Scope:
    """The surroundings of the values that are looked at."""

    __slots__ = ("_nodes", "among", "bundle", "by_url", "policy", "resource", "root")

    def __init__(
        self, resource: dict[str, Any], root: dict[str, Any], bundle: "Scope | None" = None, policy: Policy = WRITE
    ) -> None:
        self.resource = resource
        self.root = root
        self.bundle = bundle
        self.policy = policy
        self.among: frozenset[str] | None = None
        """In Parameters: the resources that came along, `Patient/1`."""
        self.by_url: dict[str, dict[str, Any]] | None = None
        self._nodes: dict[int, Node] = {}

    @property
    def resource_node(self) -> Node:
        """`%resource`."""
        return self._node(self.resource)

    @property
    def root_node(self) -> Node:
        """`%rootResource`."""
        return self._node(self.root)

    def _node(self, resource: dict[str, Any]) -> Node:
        found = self._nodes.get(id(resource))
        if found is None:
            found = self._nodes[id(resource)] = node_of(resource, kind("Resource"))
        return found

    def contained(self, resource: dict[str, Any]) -> "Scope":
        """Of a resource contained in the root."""
        return Scope(resource, self.root, self.bundle, self.policy)

    def local(self, reference: str) -> dict[str, Any] | None:
        """What `#id` refers to; `#` alone is the root."""
        if reference == "#":
            return self.root
        held = self.root.get("contained")
        for each in held if isinstance(held, list) else ():
            if isinstance(each, dict) and each.get("id") == reference[1:]:
                return each
        return None

    def resolve(self, reference: str) -> dict[str, Any] | None:
        """The resource at hand that a reference points to."""
        if reference.startswith("#"):
            return self.local(reference)
        if self.bundle is None:
            return None
        urls = self.bundle.by_url
        if urls is None:
            urls = self.bundle.by_url = _by_url(self.bundle.resource)
        return urls.get(reference)

    def resolve_node(self, reference: str) -> Node | None:
        """The same for FHIRPath."""
        found = self.resolve(reference)
        return None if found is None else node_of(found, kind("Resource"))


def entry_scope(resource: dict[str, Any], scope: Scope) -> Scope:
    """Of a resource in an entry of the bundle that `scope` is of."""
    return Scope(resource, resource, scope, scope.policy)


def parameter_scope(resource: dict[str, Any], scope: Scope) -> Scope:
    """Of a resource in the Parameters that `scope` is of: what it contains is found in itself."""
    found = Scope(resource, resource, scope.bundle, scope.policy)
    if scope.policy.unresolved is not None:
        if scope.among is None:
            scope.among = frozenset(_named(scope.resource))
        found.among = scope.among
    return found


def _named(parameters: dict[str, Any]) -> Iterator[str]:
    pending = [parameters]
    while pending:
        each = pending.pop()
        resource, inner = each.get("resource"), each.get("parameter", each.get("part"))
        if isinstance(resource, dict):
            yield f"{resource.get('resourceType')}/{resource.get('id')}"
        pending += [one for one in (inner if isinstance(inner, list) else ()) if isinstance(one, dict)]


def _entries(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    entries = bundle.get("entry")
    return [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []


def _by_url(bundle: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The resources by full URL and, where that is a RESTful one, by type and id."""
    found: dict[str, dict[str, Any]] = {}
    for entry in _entries(bundle):
        url, resource = entry.get("fullUrl"), entry.get("resource")
        if isinstance(url, str) and isinstance(resource, dict):
            found[url] = resource
            if rest := _REST_URL.fullmatch(url):
                found.setdefault(f"{rest.group(1)}/{rest.group(2)}", resource)
    return found


def bundle_problems(bundle: dict[str, Any]) -> list[Problem]:
    """The rules of bundles that the definitions hold as text only."""
    found = []
    for at, entry in enumerate(_entries(bundle)):
        url, resource = entry.get("fullUrl"), entry.get("resource")
        if isinstance(url, str):
            if not _ABSOLUTE.fullmatch(url):
                found.append(
                    Problem(f"entry[{at}].fullUrl", "give an absolute URL, or urn:uuid:… if there is none", "value")
                )
            elif (rest := _REST_URL.fullmatch(url)) and isinstance(resource, dict):
                own = resource.get("id")
                if rest.group(1) != resource.get("resourceType") or (isinstance(own, str) and own != rest.group(2)):
                    found.append(Problem(f"entry[{at}].fullUrl", _OTHER, "value"))
        if bundle.get("type") == "searchset" and isinstance(resource, dict) and "id" not in resource:
            mode = entry.get("search", {}).get("mode") if isinstance(entry.get("search"), dict) else None
            if mode != "outcome" and resource.get("resourceType") not in ("OperationOutcome", "Parameters"):
                found.append(Problem(f"entry[{at}].resource", "a resource that was found has an id", "required"))
    links = bundle.get("link")
    if isinstance(links, list):
        names = [each.get("relation") for each in links if isinstance(each, dict)]
        counted = Counter(name for name in names if isinstance(name, str))
        for at, name in enumerate(names):
            if name in _ONCE and counted[name] > 1 and at != names.index(name):
                found.append(Problem(f"link[{at}].relation", _TWICE, "value"))
    return found
