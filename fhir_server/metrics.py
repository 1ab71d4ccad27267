# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Requests by route: counted in plain lists, which Prometheus reads when it asks.

The client library's own counters take a lock for each number; per request they cost as much as the routing.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class RouteMetrics:
    """What is counted of one route."""

    __slots__ = ("buckets", "route", "seconds", "service", "statuses")

    def __init__(self, service: str, route: str) -> None:
        self.service, self.route = service, route
        self.seconds = 0.0
        self.buckets = [0] * (len(_BOUNDS) + 1)
        self.statuses: dict[tuple[str, int], int] = {}

    def add(self, method: str, status: int, seconds: float) -> None:
        """Counts one request."""
        self.seconds += seconds
        self.buckets[bisect_left(_BOUNDS, seconds)] += 1
        key = (method, status)
        self.statuses[key] = self.statuses.get(key, 0) + 1


class _Requests(Collector):
    def __init__(self) -> None:
        self.routes: dict[tuple[str, str], RouteMetrics] = {}

    def collect(self) -> Iterator[Metric]:
        counted = CounterMetricFamily(
            "ndi_requests", "Requests by route and status", labels=["service", "route", "method", "status"]
        )
        lasted = HistogramMetricFamily("ndi_request_seconds", "Seconds a request took", labels=["service", "route"])
        for each in list(self.routes.values()):
            for (method, status), number in list(each.statuses.items()):
                counted.add_metric([each.service, each.route, method, str(status)], number)
            total, rows = 0, []
            for bound, number in zip((*map(str, _BOUNDS), "+Inf"), each.buckets, strict=True):
                total += number
                rows.append((bound, total))
            lasted.add_metric([each.service, each.route], rows, each.seconds)
        yield counted
        yield lasted


_REQUESTS: Final = _Requests()
REGISTRY.register(_REQUESTS)


def route_metrics(service: str, route: str) -> RouteMetrics:
    """The numbers of a route; the same for all methods that share its path."""
    return _REQUESTS.routes.setdefault((service, route), RouteMetrics(service, route))
