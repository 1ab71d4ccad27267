# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Settings of a deployment: `NDI_*` in the environment, else a TOML file, else the default.

The file is `ndi.toml` in the working folder or the one `NDI_CONFIG` names; its keys are the names below in
lower case. docs/operations/settings.md is made from this class (`ndi config table`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
import json
import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from fhir_server.bulk.settings import BulkSettings
from fhir_server.crypto import Cipher
from fhir_server.limits import SearchLimits
from fhir_server.subscriptions.settings import SubscriptionSettings
from identifiers.hsa_id import parse_hsa_id

PREFIX = "NDI_"


class SettingsError(Exception):
    """A setting is wrong; the text is one line a setting that says which and why."""


class Settings(BaseSettings):
    """What two deployments may have different."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, validate_default=True)

    data: Path = Field(Path("var"), description="Folder for the embedded database and the keys.")
    keys: Path | None = Field(
        None,
        description="Folder of the secret keys, e.g. a mounted secret. Default: the folder `keys` in the data folder. "
        "Missing keys are made at the first start.",
    )
    database_url: SecretStr | None = Field(
        None,
        description="A PostgreSQL of your own, 15 or newer: `postgresql://user:password@host/database`. "
        "Default: the embedded one in the data folder.",
    )
    database_connections: int = Field(8, ge=1, le=200, description="Connections a process keeps open to the database.")

    host: str = Field("127.0.0.1", description="Address to listen on; `0.0.0.0` for all.")
    port: int = Field(8700, ge=1, le=65535, description="Port to listen on.")
    base_url: str | None = Field(
        None,
        description="Address under which clients reach this process, without a slash at the end. "
        "Default: `http://host:port`.",
    )
    peers_url: str | None = Field(
        None,
        description="Address under which the services are reached that this process does not serve itself. "
        "Default: `base_url`.",
    )
    issuer: str | None = Field(
        None,
        description="Address of the authorization server, as tokens name it, without a slash at the end. "
        "Default: `peers_url`.",
    )
    service_urls: dict[str, str] = Field(
        {},
        description="Addresses of single services that are not at `peers_url`, as JSON: "
        '`{"transfer": "http://127.0.0.1:8710"}`.',
    )
    max_body: int = Field(
        1_048_576,
        ge=1024,
        description="Bytes a request's body may have; the engagement index's `Update` may have 8 MiB, its contract's "
        "most.",
    )
    max_depth: int = Field(64, ge=8, le=128, description="Levels to which the JSON of a body may nest.")
    compress_from: int = Field(
        8_192, ge=0, description="Bytes from which an answer is compressed for callers that take gzip; 0: never."
    )
    max_entries: int = Field(1000, ge=1, description="Entries a batch or transaction may have.")
    bulk_folder: Path | None = Field(
        None,
        description="Folder of exported files until they expire; processes that serve the same service share it. "
        "Default: the folder `bulk` in the data folder.",
    )
    bulk_expiry: float = Field(
        86_400, gt=0, description="Seconds for which exported files and results of long searches can be fetched."
    )
    bulk_jobs: int = Field(2, ge=1, le=1000, description="Exports and long searches a client may have open at once.")
    bulk_query_seconds: float = Field(
        3_600, gt=0, description="Seconds one query of an export or a long search may take."
    )
    subscription_hosts: frozenset[str] = Field(
        frozenset(),
        description="Hosts to which notifications are sent, and those below them, as JSON: "
        '`["region-norr.example"]`. Default: any with a public address.',
    )
    subscription_networks: frozenset[str] = Field(
        frozenset(),
        description='Internal networks to which notifications go too, as JSON: `["10.20.0.0/16"]`. Default: none.',
    )
    subscription_per_owner: int = Field(100, ge=1, description="Subscriptions an owner may have in force at once.")
    subscription_seconds: float = Field(10.0, gt=0, le=120, description="Seconds a receiver has for one notification.")
    subscription_give_up: float = Field(
        86_400,
        gt=0,
        description="Seconds of failed attempts after which a subscription is in error.",
    )
    subscription_keep: float = Field(
        30 * 86_400,
        gt=0,
        description="Seconds for which delivered events can be asked for again, and one in error can be resumed.",
    )
    deadline: float = Field(30.0, gt=0, le=300, description="Seconds a request may take.")
    query_seconds: float = Field(
        20.0,
        gt=0,
        le=300,
        description="Seconds one query of the database may take, waiting for others too; then the answer is 503.",
    )
    search_parameters: int = Field(64, ge=1, description="Parameters a search may have.")
    search_values: int = Field(1000, ge=1, description="Alternatives one search parameter may have (`a,b,c`).")
    search_ranges: int = Field(
        20, ge=1, description="The same of a date, number, quantity or composite: each is a scan of its own."
    )
    search_chain: int = Field(4, ge=0, le=8, description="Links a chain of a search may have, either way.")
    search_includes: int = Field(16, ge=0, description="`_include` and `_revinclude` a search may have.")
    search_included: int = Field(1000, ge=0, description="Resources they may bring to a page.")

    security_test_idp: bool = Field(
        False, description="Offers the test identity provider, where anybody logs in as any test person. Demo only."
    )
    token_lifetime: int = Field(300, ge=30, le=3600, description="Seconds an access token is valid.")
    disclosure_mode: Literal["SE", "EHDS"] = Field(
        "SE",
        description="Whether it is told that blocked data exist: `SE` does (SVOD 2 kap. 5 §), `EHDS` does not "
        "(Regulation (EU) 2025/327 Article 8).",
    )
    engagement_index_owner: str = Field(
        "SE0000000099-OP",
        description="HSA-id of the engagement index: LogicalAddress of requests to it, owner of its rows.",
    )
    engagement_index_alternative_owners: frozenset[str] = Field(
        frozenset(),
        description='Further HSA-ids taken as LogicalAddress, as JSON: `["SE0000000099-OLD"]`.',
    )
    engagement_index_platform_addresses: frozenset[str] = Field(
        frozenset(),
        description="HSA-ids of the service platform, as JSON. A row that names one as logicalAddress or sourceSystem "
        "is refused, as one that names the owner is: requests would go in circles.",
    )
    gateway_source_seconds: float = Field(3.0, gt=0, le=60, description="Seconds the gateway waits for one source.")
    gateway_total_seconds: float = Field(5.0, gt=0, le=120, description="Seconds the gateway waits for all sources.")

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe entries logged.")
    log_format: Literal["json", "text"] = Field("json", description="`json`: a line an entry; `text`: for people.")

    @field_validator("base_url", "peers_url", "issuer")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value.rstrip("/") if value else value

    @field_validator("engagement_index_owner")
    @classmethod
    def _hsa_id(cls, value: str) -> str:
        return parse_hsa_id(value)

    @field_validator("engagement_index_alternative_owners", "engagement_index_platform_addresses")
    @classmethod
    def _hsa_ids(cls, values: frozenset[str]) -> frozenset[str]:
        return frozenset(parse_hsa_id(each) for each in values)

    @field_validator("subscription_networks")
    @classmethod
    def _networks(cls, values: frozenset[str]) -> frozenset[str]:
        for each in values:
            ip_network(each)
        return values

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=config_file())

    @property
    def address(self) -> str:
        """`base_url`, or what follows from host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.base_url or f"http://{host}:{self.port}"

    @property
    def search_limits(self) -> SearchLimits:
        """How much one search may ask for."""
        return SearchLimits(
            parameters=self.search_parameters,
            values=self.search_values,
            ranges=self.search_ranges,
            chain=self.search_chain,
            includes=self.search_includes,
            included=self.search_included,
        )

    @property
    def peers(self) -> str:
        """`peers_url`, or our own address."""
        return self.peers_url or self.address

    @property
    def authority(self) -> str:
        """`issuer`, or the peers' address."""
        return self.issuer or self.peers

    def service_url(self, name: str) -> str:
        """Where a service is reached that this process does not serve."""
        return self.service_urls.get(name, self.peers).rstrip("/")

    @property
    def keys_folder(self) -> Path:
        """`keys`, or the folder of that name in the data folder."""
        return self.keys or self.data / "keys"

    @property
    def bulk(self) -> BulkSettings:
        """Where and how exports and long searches are worked."""
        return BulkSettings(
            self.bulk_folder or self.data / "bulk",
            expiry=self.bulk_expiry,
            jobs_per_client=self.bulk_jobs,
            statement=self.bulk_query_seconds,
        )

    def subscriptions(self, cipher: Cipher) -> SubscriptionSettings:
        """Where notifications go and when they are given up; `cipher` keeps their secrets."""
        return SubscriptionSettings(
            cipher,
            hosts=self.subscription_hosts,
            networks=tuple(ip_network(each) for each in sorted(self.subscription_networks)),
            per_owner=self.subscription_per_owner,
            timeout=self.subscription_seconds,
            give_up=self.subscription_give_up,
            keep=self.subscription_keep,
        )

    @property
    def packages_folder(self) -> Path:
        """Where packages of profiles are kept (`ndi fhir package add`)."""
        return self.data / "packages"

    @property
    def database_folder(self) -> Path:
        """Where the embedded database keeps its data."""
        return self.data / "postgres"


def config_file() -> Path | None:
    """The settings file in use, if any. Raises `SettingsError` if `NDI_CONFIG` names none."""
    named = os.environ.get("NDI_CONFIG")
    path = Path(named or "ndi.toml")
    if path.is_file():
        return path
    if named:
        raise SettingsError(f"NDI_CONFIG: there is no file {named}")
    return None


def load(**overrides: object) -> Settings:
    """The settings, `overrides` (those that are not None) before all else. Raises `SettingsError`."""
    given = {name: value for name, value in overrides.items() if value is not None}
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {"NDI_CONFIG"}
    strange = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known | _OTHERS)
    if strange:
        raise SettingsError(f"{strange[0]}: no such setting; `ndi config show` lists them")
    try:
        return Settings(**given)  # type: ignore[arg-type]  # pydantic checks what the command line gave
    except ValidationError as error:
        # Not the value: a database address holds a password.
        raise SettingsError(
            "; ".join(f"{PREFIX}{str(item['loc'][0]).upper()}: {item['msg']}" for item in error.errors())
        ) from None
    except ValueError as error:
        raise SettingsError(f"{config_file()}: {error}") from None


_OTHERS = {"NDI_SHARED", "NDI_TEST_DATABASE_URL", "NDI_SOAK"}
"""Variables of tests, which share the prefix."""


@dataclass(frozen=True, slots=True)
class Row:
    """One setting, as people see it."""

    name: str
    value: str
    default: str
    description: str


def rows(settings: Settings) -> Iterator[Row]:
    """All settings in their order, secrets masked."""
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        default = field.default
        yield Row(
            PREFIX + name.upper(),
            _shown(value),
            "" if default is None else _shown(default),
            field.description or "",
        )


def table() -> str:
    """The Markdown table of docs/operations/settings.md."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f"`{_shown(field.default)}`"
        lines.append(f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, frozenset):
        return json.dumps(sorted(value))
    return "" if value is None else str(value)
