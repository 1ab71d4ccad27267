# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
import json
import subprocess
import sys

import pytest

from ndi.logs import masked

NUMBERS = ["195701032863", "5701032863", "570103-2863", "19570103-2863", "570103%2D2863", "570103+2863"]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_personal_number_does_not_leave(number: str) -> None:
    for text in (number, f"Patient?identifier=x|{number}", f"got {number}, again {number}.", f"a%7C{number}&b"):
        assert number not in masked(None, "info", {"event": text})["event"]


@pytest.mark.parametrize(
    "text", ["SE0000000011-VE1", "2026-11-24T13:05:12.123456Z", "0af7651916cd43dd8448eb211c80319c", "1.2.752.29.4.19"]
)
def test_ids_and_times_stay(text: str) -> None:
    assert masked(None, "info", {"event": text})["event"] == text


def test_entries_of_libraries_and_ours_are_json_lines() -> None:
    program = (
        "import logging, structlog; from ndi import logs; logs.set_up();"
        "structlog.get_logger('ndi').info('started', port=8700);"
        "logging.getLogger('uvicorn.error').warning('from %s', 'uvicorn');"
        "logging.getLogger('uvicorn.access').info('GET /x?identifier=195701032863');"
        "logging.getLogger('httpx2').info('HTTP Request: GET /x?identifier=195701032863')\n"
        "try: raise ValueError('195701032863')\n"
        "except ValueError: structlog.get_logger('ndi').exception('failed')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["started", "from uvicorn", "failed"]
    assert lines[0]["port"] == 8700
    assert "195701032863" not in done.stderr
