# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""XHTML of a narrative: only formatting, nothing that runs or is fetched. https://hl7.org/fhir/R4/narrative.html#xhtml

The invariants txt-1 and txt-2 and the security rule behind them: no script, no event handlers, no forms, no frames,
no links that run code, no content from elsewhere.
"""

import re
from typing import Final

from lxml import etree

_SPACE: Final = "http://www.w3.org/1999/xhtml"
_ELEMENTS: Final = frozenset(
    """
    a abbr acronym b big blockquote br caption cite code col colgroup dd dfn div dl dt em h1 h2 h3 h4 h5 h6 hr i
    img li ol p pre q samp small span strong sub sup table tbody td tfoot th thead tr tt ul var
    """.split()  # noqa: SIM905 - a list of a hundred quoted words reads worse
)
_ATTRIBUTES: Final = frozenset(
    """
    abbr accesskey align alt axis bgcolor border cellhalign cellpadding cellspacing cellvalign char charoff
    charset cite class colspan compact coords dir frame headers height href hreflang hspace id lang longdesc
    name nowrap rel rev rowspan rules scope shape span src start style summary tabindex title type valign value
    vspace width
    """.split()  # noqa: SIM905 - a list of a hundred quoted words reads worse
)
_RUNS: Final = re.compile(r"\s*(javascript|vbscript|data\s*:\s*text)\s*:?", re.IGNORECASE)
_IMAGE: Final = re.compile(r"(#\S+|data:image/(png|gif|jpeg|jpg|svg\+xml);base64,[A-Za-z0-9+/=\s]*|[^:/?#][^:]*)")
_STYLE: Final = re.compile(r"url\s*\(|expression\s*\(|@import|behavior\s*:|-moz-binding|\\", re.IGNORECASE)
_XML_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"
_FORMED: Final = "write the narrative as one well-formed div in the XHTML namespace, with XML entities only"


def check_narrative(text: str) -> str | None:
    """What to change in a narrative's `div`, or None."""
    if "<!" in text.replace("<!--", "") or "<?" in text:
        return "leave out document types, entities and processing instructions"
    try:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        root = etree.fromstring(text.encode(), parser)
    except (etree.XMLSyntaxError, ValueError):
        return _FORMED
    if root.tag != f"{{{_SPACE}}}div":
        return _FORMED
    shown = False
    for element in root.iter():
        if not isinstance(element.tag, str):
            shown = shown or bool(element.tail and element.tail.strip())
            continue
        tag = element.tag
        local = tag[len(_SPACE) + 2 :] if tag.startswith(f"{{{_SPACE}}}") else tag
        if local not in _ELEMENTS:
            return "use only the formatting elements of XHTML that the specification lists; no script, form or frame"
        shown = shown or local == "img" or bool(element.text and element.text.strip())
        shown = shown or bool(element is not root and element.tail and element.tail.strip())
        problem = _attributes(local, element)
        if problem is not None:
            return problem
    return None if shown else "the narrative shows nothing; give it text or leave it out"


def _attributes(local: str, element: etree._Element) -> str | None:
    for name, raw in element.attrib.items():
        value = str(raw)
        if name not in _ATTRIBUTES and name != _XML_LANG:
            return "use only the formatting attributes that the specification lists; no event handlers"
        if name == "href" and _RUNS.match(value):
            return "a link may not run code"
        if name == "src" and (local != "img" or not _IMAGE.fullmatch(value)):
            return "an image is a relative address, #id of a contained Binary, or data:image"
        if name == "style" and _STYLE.search(value):
            return "a style may not fetch or run anything"
    return None
