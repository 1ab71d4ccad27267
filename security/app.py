# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The routes of the authorization server and what they are built from."""

from starlette.routing import BaseRoute
from starlette.routing import Route as HttpRoute

from fhir_server.context import Access, AuditSink, Caller
from fhir_server.crypto import Cipher
from fhir_server.endpoint import Endpoint, KernelSettings
from fhir_server.service import Route, Service
from security.authorize import ASKED, AuthorizationEndpoint
from security.capability import capability
from security.errors import oauth_error
from security.jwks import JwksEndpoint
from security.keys import SigningKeys
from security.login import LoginPages, error_page
from security.metadata import MetadataEndpoint
from security.model.access import refused
from security.settings import SecuritySettings
from security.store import AsyncEngine, SecurityStore
from security.token import PARAMETERS, TokenEndpoint

__all__ = ["SecuritySettings", "create_service", "discovery", "root_routes"]


def create_service(*, engine: AsyncEngine, cipher: Cipher, settings: SecuritySettings) -> Service:
    """The authorization server under /oauth2; `cipher` guards the private keys it signs with."""
    store = SecurityStore(engine)
    keys = SigningKeys(store, cipher)
    token = TokenEndpoint(store, keys, settings)
    authorize = AuthorizationEndpoint(store, cipher, settings)
    jwks = JwksEndpoint(store, keys)
    return Service(
        name="security",
        title="Authorization server",
        base="/oauth2",
        routes=(
            Route(
                "/token",
                token.handle,
                Access.public,
                summary="Access tokens (RFC 6749)",
                errors=oauth_error,
                takes=PARAMETERS,
            ),
            Route(
                "/authorize",
                authorize.handle,
                Access.public,
                methods=("GET",),
                summary="Starts the login of a person (RFC 6749 4.1, RFC 7636)",
                errors=oauth_error,
                takes=ASKED,
            ),
            Route(
                "/jwks",
                jwks.handle,
                Access.public,
                methods=("GET",),
                summary="Keys to verify access tokens with (RFC 7517)",
                errors=oauth_error,
            ),
        ),
        description="OAuth 2 with signed client assertions, authorization code with PKCE, SMART scopes.",
        capability=capability(settings),
    )


def discovery(settings: SecuritySettings) -> Route:
    """The SMART configuration below a FHIR base, where clients look for it (SMART App Launch 2.2, "Conformance")."""
    smart = MetadataEndpoint(settings).smart
    summary = "Where tokens come from (SMART App Launch 2.2)"
    return Route("/fhir/.well-known/smart-configuration", smart, Access.public, methods=("GET",), summary=summary)


def root_routes(
    *,
    engine: AsyncEngine,
    cipher: Cipher,
    settings: SecuritySettings,
    audit: AuditSink,
    kernel: KernelSettings | None = None,
) -> list[BaseRoute]:
    """Routes whose place at the root is given by their specifications, and the login page."""
    metadata = MetadataEndpoint(settings)
    pages = LoginPages(SecurityStore(engine), cipher, settings)
    well_known, login = "/.well-known", "/idp/login"
    routes = (
        Route(f"{well_known}/oauth-authorization-server", metadata.server, Access.public, None, ("GET",)),
        Route(f"{well_known}/smart-configuration", metadata.smart, Access.public, None, ("GET",)),
        Route(login, pages.show, Access.public, None, ("GET",), errors=error_page),
        Route(login, pages.submit, Access.public, None, ("POST",), errors=error_page),
    )
    return [_http_route(route, audit, kernel or KernelSettings()) for route in routes]


def _http_route(route: Route, audit: AuditSink, kernel: KernelSettings) -> HttpRoute:
    endpoint = Endpoint("security", "", route, authenticator=_Nobody(), audit=audit, settings=kernel)
    return HttpRoute(route.path, endpoint, methods=list(route.methods))


class _Nobody:
    """Stands where public routes never ask."""

    async def authenticate(self, authorization: str | None) -> Caller:
        """Refuses."""
        raise refused("no token is taken here")
