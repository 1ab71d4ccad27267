# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What arrives: handshake, events in each level of content, held against the published examples."""



from tests.fhir_server.clinic import observation
from tests.fhir_server.subscriptions.hospital import ASTRID, Hospital, subscription
from tests.fhir_server.subscriptions.receiving import Receiver, until


async def test_from_subscription_to_notification(hospital: Hospital, receiver: Receiver) -> None:
    identity = await hospital.subscribe(subscription(receiver.url))
    (handshake,) = receiver.received
    assert (handshake.kind, handshake.parameter("status")) == ("handshake", "requested")
    assert handshake.parameter("events-since-subscription-start") == "0"
    await hospital.put(observation("o1", ASTRID))
    await until(lambda: receiver.of(identity))
    (notification,) = receiver.of(identity)
    (event,) = notification.events
    assert event["event-number"] == "1"
    assert event["focus"]["reference"].endswith("/hospital/fhir/Observation/o1")
