# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Prefixes: the resource's range against the parameter's (https://hl7.org/fhir/R4/search.html#prefix).

Every comparison bounds both ends where it can, so that an index narrows from both sides.
"""

from typing import Any

from sqlalchemy import ColumnElement, Float, and_, cast, func, or_

from fhir_server.search.literals import DateValue, NearValue, QuantityValue

Operand = ColumnElement[Any]

_RADIUS = 6371.0088
"""Kilometres: the mean radius of the Earth (IUGG)."""
_DEGREE = 111.19
"""Kilometres of a degree of latitude on that sphere, rounded down: the band is never too narrow."""


def compare_dates(low: Operand, high: Operand, value: DateValue) -> ColumnElement[bool]:
    """Both ranges end before their second instant."""
    match value.prefix:
        case "eq":
            return and_(low >= value.low, low < value.high, high > value.low, high <= value.high)
        case "ne":
            return or_(low < value.low, high > value.high)
        case "gt":
            return high > value.high
        case "ge":
            return and_(high > value.low, or_(high > value.high, low >= value.low))
        case "lt":
            return low < value.low
        case "le":
            return and_(low < value.high, or_(low < value.low, high <= value.high))
        case "sa":
            return low >= value.high
        case "eb":
            return high <= value.low
        case "ap":
            return and_(low < value.high, high > value.low)


def compare_moment(moment: Operand, value: DateValue) -> ColumnElement[bool]:
    """An instant against the parameter's range."""
    match value.prefix:
        case "eq" | "ap":
            return and_(moment >= value.low, moment < value.high)
        case "ne":
            return or_(moment < value.low, moment >= value.high)
        case "gt" | "sa":
            return moment >= value.high
        case "ge":
            return moment >= value.low
        case "lt" | "eb":
            return moment < value.low
        case "le":
            return moment < value.high


def compare_quantities(low: Operand, high: Operand, value: QuantityValue) -> ColumnElement[bool]:
    """Numbers and ranges of numbers, both ends included; all prefixes but eq, ne and ap compare the number itself."""
    match value.prefix:
        case "eq":
            return and_(low >= value.low, low < value.high, high >= value.low, high < value.high)
        case "ne":
            return or_(low < value.low, high >= value.high)
        case "gt":
            return high > value.number
        case "ge":
            return high >= value.number
        case "lt":
            return low < value.number
        case "le":
            return low <= value.number
        case "sa":
            return low > value.number
        case "eb":
            return high < value.number
        case "ap":
            return and_(low <= value.high, high >= value.low)


def compare_positions(latitude: Operand, longitude: Operand, value: NearValue) -> ColumnElement[bool]:
    """Within the distance on a great circle; a band of latitudes first, which an index narrows."""
    north, east = (func.radians(cast(each, Float)) for each in (latitude, longitude))
    here, there = func.radians(value.latitude), func.radians(value.longitude)
    # The haversine keeps its precision for places close to each other, where the cosine rule loses it.
    half = func.power(func.sin((north - here) / 2), 2) + func.cos(here) * func.cos(north) * func.power(
        func.sin((east - there) / 2), 2
    )
    band = value.kilometres / _DEGREE
    return and_(
        latitude >= value.latitude - band,
        latitude <= value.latitude + band,
        2 * _RADIUS * func.asin(func.sqrt(func.least(half, 1.0))) <= value.kilometres,
    )
