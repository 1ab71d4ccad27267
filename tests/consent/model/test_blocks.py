# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The published CheckBlocks vectors, one test each, named by id."""

from datetime import datetime
import json
from typing import Any, Final

import pytest

from consent.model.blocks import (
    AccessingActor,
    BlockType,
    InformationEntity,
    RegisteredBlock,
    Revoke,
    Status,
    check_blocks,
)
from consent.model.period import Period
from tests.conftest import SHARED

PATH: Final = SHARED / "consent" / "block-vectors.json"
VECTORS: Final[dict[str, Any]] = (
    {each["id"]: each for each in json.loads(PATH.read_text(encoding="utf-8"))["vectors"]} if PATH.is_file() else {}
)


def moment(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None


def block(value: dict[str, Any]) -> RegisteredBlock:
    return RegisteredBlock(
        type=BlockType(value["blockType"]),
        provider=value["informationCareProviderId"],
        patient=(value["patientId"]["root"], value["patientId"]["extension"]),
        unit=value.get("informationCareUnitId"),
        documented=Period(moment(value.get("informationStartDate")), moment(value.get("informationEndDate"))),
        excluded=frozenset(value["excludedInformationTypes"]),
        revokes=tuple(
            Revoke(
                ends=datetime.fromisoformat(each["endDate"]),
                unit=each["revokedForCareUnitId"],
                employee=each.get("revokedForEmployeeId"),
                cancelled=each.get("cancelled", False),
            )
            for each in value["temporaryRevokes"]
        ),
        active=value["state"] == "active",
    )


@pytest.mark.parametrize("vector_id", list(VECTORS) or ["no shared data"])
def test_block_vector(vector_id: str) -> None:
    if not VECTORS:
        pytest.skip("no shared data: the published block vectors are not there")
    vector = VECTORS[vector_id]
    asks = vector["actor"]
    answer = check_blocks(
        AccessingActor(asks["employeeId"], asks["careProviderId"], asks["careUnitId"]),
        (vector["patientId"]["root"], vector["patientId"]["extension"]),
        [block(each) for each in vector["blocks"]],
        [
            InformationEntity(
                row=each["rowNumber"],
                start=datetime.fromisoformat(each["informationStartDate"]),
                end=datetime.fromisoformat(each["informationEndDate"]),
                unit=each["informationCareUnitId"],
                provider=each["informationCareProviderId"],
                type=each.get("informationType"),
            )
            for each in vector["informationEntities"]
        ],
        now=datetime.fromisoformat(vector["now"]),
    )
    expected = vector["expected"]
    assert dict(answer) == {each["rowNumber"]: Status(each["status"]) for each in expected["checkResults"]}
    faulty = any(status is Status.validation_error for _, status in answer)
    assert ("INFO" if faulty else "OK") == expected["resultCode"]
