# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What deployments set about subscriptions."""

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
import random

from fhir_server.crypto import Cipher
from fhir_server.retry import Backoff


@dataclass(frozen=True, slots=True)
class SubscriptionSettings:
    """Where notifications may go, how they are paced and when they are given up. Times in seconds."""

    cipher: Cipher = field(repr=False)
    """Keeps the secrets that notifications are signed with."""
    hosts: frozenset[str] = frozenset()
    """If not empty, endpoints must be at one of these hosts or below it."""
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks inside the house that endpoints may be in; all others that are not public are refused."""
    loopback: bool = False
    """Whether endpoints may be on this machine, by http too: for tests and the sandbox."""
    unsigned: bool = False
    """Whether a Subscription may come without a secret: its receiver cannot know who sends."""
    per_owner: int = 100
    """Subscriptions of one owner that may be in force at once."""
    max_count: int = 20
    """Events in one notification, at most; a Subscription may ask for fewer."""
    timeout: float = 10.0
    """For one notification, at most; a Subscription may ask for less."""
    poll: float = 1.0
    """How often a worker looks for changes."""
    parallel: int = 8
    """Subscriptions that one worker delivers to at once."""
    backoff: Backoff = field(default_factory=lambda: Backoff(1.0, 3_600.0))
    give_up: float = 86_400.0
    """Time of failed attempts after which a Subscription is in error."""
    attempts: int = 1_000
    """Failed attempts after which it is in error before that: with the default waits time runs out first."""
    keep: float = 30 * 86_400.0
    """How long delivered events can be asked for again, and how long one in error waits before it is turned off."""
    chance: Callable[[], float] = random.random
    """Spreads the attempts; in [0, 1)."""
