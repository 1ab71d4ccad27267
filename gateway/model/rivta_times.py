# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Times of RIV-TA elements, booked in the account."""

from gateway.model import times
from gateway.model.tree import Reader


def when(reader: Reader, *names: str) -> str | None:
    """The time along `names` as FHIR dateTime; a time that is none is named as a loss."""
    text = reader.peek(*names)
    if text is None:
        return None
    try:
        value = times.from_rivta(text)
    except times.BadTime:
        reader.lost("is no time of the calendar", *names)
        return None
    reader.take(*names)
    return value


def period(body: Reader, obsolete: str | None) -> dict[str, str]:
    """Flag.period: the validity, ended by the obsolete time where that is earlier or the only end."""
    start, end = when(body, "validityTimePeriod", "start"), when(body, "validityTimePeriod", "end")
    ended_by = ["validityTimePeriod", "end"]
    if obsolete and (end is None or times.moment(obsolete) <= times.moment(end)):
        if end is not None and obsolete != end:
            body.lost("the alert was made obsolete before its validity ended", *ended_by)
        end, ended_by = obsolete, ["obsoleteTime"]
    elif obsolete:
        body.lost("the validity ended before the alert was made obsolete; only the status tells of it", "obsoleteTime")
    if start and end and times.moment(end) < times.moment(start):
        body.lost("lies before the start of the period", *ended_by)
        end = None
    return {key: value for key, value in (("start", start), ("end", end)) if value}
