# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Random populations and queries: the database's answer is that of a plain reading of the resources in Python.

The model knows nothing of index tables: it walks the resources for every query, as the specification words it.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
import pytest

from tests.fhir_server.search.library import Library

pytestmark = pytest.mark.servers

Resource = dict[str, Any]
Population = dict[str, list[Resource]]
Holds = Callable[[Population, Resource], bool]
Criterion = tuple[str, Holds]

CODES, SYSTEMS = ("a", "b", "c"), ("urn:s", "urn:t")
NAMES = ("Åsa", "asa", "Asarum", "Bo", "bö", "Ö%", "O_x")
DAYS = ("2024", "2024-02", "2024-02-10", "2024-02-11", "2024-03", "2025")
NUMBERS = ("1", "1.0", "1.04", "2", "-3", "10")
PREFIXES = ("", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")

codings = st.fixed_dictionaries({"code": st.sampled_from(CODES)}, optional={"system": st.sampled_from(SYSTEMS)})
concepts = st.lists(codings, min_size=1, max_size=2).map(lambda each: {"coding": each})
quantities = st.sampled_from(NUMBERS).map(lambda each: {"value": float(each), "unit": "kg"})
patients = st.fixed_dictionaries(
    {},
    optional={
        "name": st.lists(st.fixed_dictionaries({"family": st.sampled_from(NAMES)}), min_size=1, max_size=2),
        "birthDate": st.sampled_from(DAYS),
        "gender": st.sampled_from(("male", "female")),
    },
)
observations = st.fixed_dictionaries(
    {"code": concepts},
    optional={
        "subject": st.integers(0, 3).map(lambda each: {"reference": f"Patient/p{each}"}),
        "effectiveDateTime": st.sampled_from(DAYS),
        "effectivePeriod": st.tuples(st.sampled_from(DAYS), st.sampled_from(DAYS)).map(
            lambda each: {"start": min(each), "end": max(each)}
        ),
        "valueQuantity": quantities,
        "component": st.lists(
            st.fixed_dictionaries({"code": concepts, "valueQuantity": quantities}), min_size=1, max_size=2
        ),
    },
)


def folded(text: str) -> str:
    return text.lower().translate(str.maketrans("åäö", "aao"))


def texts(resource: Resource) -> list[str]:
    return [each["family"] for each in resource.get("name", ())]


def day_range(text: str) -> tuple[str, str]:
    """First and last day, written so that texts compare as dates do."""
    return text + "-01-01"[len(text) - 4 :], text + "-12-31"[len(text) - 4 :]


def effective(resource: Resource) -> list[tuple[str, str]]:
    """A resource has one effective[x]; the population may give both, and then either may match."""
    given = [day_range(resource["effectiveDateTime"])] if "effectiveDateTime" in resource else []
    if "effectivePeriod" in resource:
        period = resource["effectivePeriod"]
        given.append((day_range(period["start"])[0], day_range(period["end"])[1]))
    return given


def compares(prefix: str, low: Any, high: Any, asked_low: Any, asked_high: Any) -> bool:
    """search.html#prefix, both ranges closed."""
    inside = asked_low <= low and high <= asked_high
    holds: dict[str, bool] = {
        "": inside, "eq": inside, "ne": not inside,
        "gt": high > asked_high, "lt": low < asked_low,
        "ge": high > asked_high or inside, "le": low < asked_low or inside,
        "sa": low > asked_high, "eb": high < asked_low,
    }  # fmt: skip
    return holds[prefix]


def number_holds(prefix: str, text: str, value: Any) -> bool:
    number, asked = Decimal(str(value)), Decimal(text)
    if prefix in ("", "eq", "ne"):
        half = Decimal(5).scaleb(int(asked.as_tuple().exponent) - 1)
        inside = asked - half <= number < asked + half
        return not inside if prefix == "ne" else inside
    return {
        "gt": number > asked, "sa": number > asked, "lt": number < asked, "eb": number < asked,
        "ge": number >= asked, "le": number <= asked,
    }[prefix]  # fmt: skip


def token_holds(asked: str, concept: Resource) -> bool:
    system, bar, code = asked.rpartition("|")
    return any(
        (not code or each["code"] == code) and (not bar or each.get("system", "") == system)
        for each in concept["coding"]
    )


tokens = st.tuples(st.sampled_from(("", "|", "urn:s|", "urn:t|")), st.sampled_from(CODES)).map("".join)


@st.composite
def patient_criteria(draw: st.DrawFn) -> Criterion:
    kind = draw(st.sampled_from(("name", "exact", "contains", "birth", "gender", "not", "missing")))
    text = draw(st.sampled_from(NAMES))
    match kind:
        case "name":
            return f"family={text}", lambda _, each: any(folded(t).startswith(folded(text)) for t in texts(each))
        case "exact":
            return f"family:exact={text}", lambda _, each: text in texts(each)
        case "contains":
            part = text[1:]
            return f"family:contains={part}", lambda _, each: any(folded(part) in folded(t) for t in texts(each))
        case "birth":
            prefix, day = draw(st.sampled_from(PREFIXES)), draw(st.sampled_from(DAYS))
            return (
                f"birthdate={prefix}{day}",
                lambda _, each: (
                    "birthDate" in each and compares(prefix, *day_range(each["birthDate"]), *day_range(day))
                ),
            )
        case "gender":
            return "gender=male,other", lambda _, each: each.get("gender") == "male"
        case "not":
            return "gender:not=male", lambda _, each: each.get("gender") != "male"
        case _:
            wanted = draw(st.booleans())
            return f"birthdate:missing={str(wanted).lower()}", lambda _, each: ("birthDate" not in each) is wanted


@st.composite
def observation_criteria(draw: st.DrawFn) -> Criterion:
    kind = draw(st.sampled_from(("code", "many", "not", "date", "value", "composite", "combo", "subject", "chain")))
    token, prefix = draw(tokens), draw(st.sampled_from(PREFIXES))
    number = draw(st.sampled_from(NUMBERS))
    match kind:
        case "code":
            return f"code={token}", lambda _, each: token_holds(token, each["code"])
        case "many":
            asked = draw(st.lists(tokens, min_size=2, max_size=4))
            return f"code={','.join(asked)}", lambda _, each: any(token_holds(t, each["code"]) for t in asked)
        case "not":
            return f"code:not={token}", lambda _, each: not token_holds(token, each["code"])
        case "date":
            day = draw(st.sampled_from(DAYS))
            return (
                f"date={prefix}{day}",
                lambda _, each: any(compares(prefix, *covered, *day_range(day)) for covered in effective(each)),
            )
        case "value":
            return (
                f"value-quantity={prefix}{number}||kg",
                lambda _, each: (
                    "valueQuantity" in each and number_holds(prefix, number, each["valueQuantity"]["value"])
                ),
            )
        case "composite":
            return f"component-code-value-quantity={token}${prefix}{number}", lambda _, each: any(
                token_holds(token, part["code"]) and number_holds(prefix, number, part["valueQuantity"]["value"])
                for part in each.get("component", ())
            )
        case "combo":
            return f"combo-code={token}", lambda _, each: any(
                token_holds(token, part["code"]) for part in [each, *each.get("component", ())]
            )
        case "subject":
            return "subject=Patient/p1,p2", lambda _, each: each.get("subject", {}).get("reference") in (
                "Patient/p1", "Patient/p2",
            )  # fmt: skip
        case _:
            query, holds = draw(patient_criteria())
            return f"patient.{query}", lambda all_, each: any(
                each.get("subject", {}).get("reference") == f"Patient/{other['id']}" and holds(all_, other)
                for other in all_["Patient"]
            )


@st.composite
def reverse_criteria(draw: st.DrawFn) -> Criterion:
    query, holds = draw(observation_criteria())
    return f"_has:Observation:patient:{query}", lambda all_, each: any(
        other.get("subject", {}).get("reference") == f"Patient/{each['id']}" and holds(all_, other)
        for other in all_["Observation"]
    )


def population(people: list[Resource], seen: list[Resource]) -> Population:
    return {
        "Patient": [{"resourceType": "Patient", "id": f"p{n}", **each} for n, each in enumerate(people)],
        "Observation": [
            {"resourceType": "Observation", "id": f"o{n}", "status": "final", **each} for n, each in enumerate(seen)
        ],
    }


populations = st.builds(
    population, st.lists(patients, min_size=1, max_size=4), st.lists(observations, min_size=1, max_size=8)
)
queries = st.one_of(
    st.tuples(st.just("Patient"), st.lists(st.one_of(patient_criteria(), reverse_criteria()), min_size=1, max_size=2)),
    st.tuples(st.just("Observation"), st.lists(observation_criteria(), min_size=1, max_size=3)),
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(given_population=populations, asked=st.lists(queries, min_size=6, max_size=6))
async def test_the_answer_is_that_of_a_plain_reading(
    library: Library, given_population: Population, asked: list[tuple[str, list[Criterion]]]
) -> None:
    await library.empty()
    await library.load([each for some in given_population.values() for each in some])
    for kind, criteria in asked:
        parameters = [(name, value) for query, _ in criteria for name, _, value in [query.partition("=")]]
        expected = [
            each["id"] for each in given_population[kind] if all(holds(given_population, each) for _, holds in criteria)
        ]
        bundle = await library.post(kind, [*parameters, ("_total", "accurate")])
        assert sorted(entry["resource"]["id"] for entry in bundle.get("entry", [])) == sorted(expected), parameters
        assert bundle["total"] == len(expected)
