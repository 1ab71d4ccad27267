# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What profiles say to a resource: those that are asked for, those it claims, those its type declares.

https://hl7.org/fhir/R4/profiling.html#resources
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_server.interactions.serving import Serving
from fhir_server.outcome import NotSupported
from fhir_server.validation import InvalidResource, Problem
from fhir_server.validation.packages import Packages
from fhir_server.validation.profiles import Profiles


class UnknownProfile(NotSupported):
    """A profile is asked for that no package has: the server must not answer as if it had looked (`$validate`)."""

    issue, code = "not-found", "unknown-profile"


def known_profiles(serving: Serving, asked: Sequence[str]) -> Profiles:
    """What is loaded. Raises `UnknownProfile` if one that is asked for is not."""
    known = serving.packages.profiles() if serving.packages is not None else Profiles()
    if any(url not in known for url in asked):
        raise UnknownProfile("a profile that is asked for is in no package loaded here; see ndi fhir package list")
    return known


def profile_problems(serving: Serving, resource: Mapping[str, Any], asked: Sequence[str] = ()) -> list[Problem]:
    """All findings, each with the profile it is of; the structure of the resource is sound.

    One that a resource claims and that is not known is a warning: nobody can hold it against anything here.
    Raises `UnknownProfile` as `known_profiles`.
    """
    known = known_profiles(serving, asked)
    found: list[Problem] = []
    for at, url in enumerate(_claimed(resource)):
        if url not in known and url not in asked:
            place = f"{resource.get('resourceType')}.meta.profile[{at}]"
            text = "the profile is in no package loaded here: the resource was not held against it"
            found.append(Problem(place, text, "not-found", "warning"))
    for url in dict.fromkeys([*asked, *serving.type.profiles, *_claimed(resource)]):
        if url in known:
            found += (
                Problem(each.path, f"{each.text} (profile {url})", each.issue, each.severity)
                for each in known.validate(resource, url)
            )
    return found


def check_declared(packages: Packages | None, declared: Sequence[str], resource: Mapping[str, Any]) -> None:
    """Raises `InvalidResource` unless the resource keeps the profiles that its type declares, as far as loaded."""
    if not declared or packages is None:
        return
    known = packages.profiles()
    found = [each for url in declared if url in known for each in known.validate(resource, url)]
    wrong = [each for each in found if each.severity == "error"]
    if wrong:
        raise InvalidResource(wrong)


def _claimed(resource: Mapping[str, Any]) -> list[str]:
    meta = resource.get("meta")
    given = meta.get("profile") if isinstance(meta, dict) else None
    return [each for each in given if isinstance(each, str)] if isinstance(given, list) else []
