# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""FHIRPath as far as validation uses it, compiled to Python closures. http://hl7.org/fhirpath/N1/

`conformsTo()` and `memberOf()` ask what is loaded, through `Outside`; what asks a terminology server is left out.
"""

from fhir_server.validation.fhirpath.engine import Environment, compile_term, evaluate, truth
from fhir_server.validation.fhirpath.model import Node, node_of
from fhir_server.validation.fhirpath.parse import FhirPathError, Unsupported

__all__ = ["Environment", "FhirPathError", "Node", "Unsupported", "compile_term", "evaluate", "node_of", "truth"]
