# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Commands `ndi security …`: clients, test people, keys. Each may be repeated; the second time changes nothing."""

import asyncio
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
import sys
from typing import Annotated

from rich.console import Console
from rich.table import Table
import typer

from fhir_server.commands import CommandError, deployment
from fhir_server.context import CallerKind
from identifiers.person_key import PersonKey, PersonKeys
from identifiers.person_number import InvalidPersonNumber, parse
from security import registration
from security.model.registration import AUTHORIZATION_CODE, CLIENT_CREDENTIALS, Client, Person

app = typer.Typer(help="Who may call: clients, test people, keys.", no_args_is_help=True, rich_markup_mode="markdown")
client = typer.Typer(help="Registered systems.", no_args_is_help=True, rich_markup_mode="markdown")
person = typer.Typer(help="People of the test identity provider.", no_args_is_help=True, rich_markup_mode="markdown")
key = typer.Typer(help="Keys of clients.", no_args_is_help=True, rich_markup_mode="markdown")
app.add_typer(client, name="client")
app.add_typer(person, name="person")
app.add_typer(key, name="key")


class Grant(StrEnum):
    """Grants a client may use."""

    client_credentials = CLIENT_CREDENTIALS
    authorization_code = AUTHORIZATION_CODE


class Kind(StrEnum):
    """Kinds of test people."""

    patient = "patient"
    staff = "staff"


@client.command(
    "add",
    epilog="**Example:** `ndi security client add --id region-norr --name 'Region Norr' "
    "--organisation SE0000000011-VG --organisation-name 'Region Norr' --jwks norr.jwks "
    "--scope system/DocumentReference.cu --role source`",
)
def client_add(
    context: typer.Context,
    client_id: Annotated[str, typer.Option("--id", help="client_id.")],
    name: Annotated[str, typer.Option(help="Name that people see.")],
    organisation: Annotated[str, typer.Option(help="HSA-id of the organisation that answers for it.")],
    organisation_name: Annotated[str, typer.Option(help="Name of that organisation.")],
    jwks: Annotated[list[Path], typer.Option(help="File with its public keys, JWKS or JWK; may be repeated.")],
    scope: Annotated[list[str], typer.Option(help="SMART scope it may be granted; may be repeated.")],
    role: Annotated[list[str] | None, typer.Option(help="Role of the system itself; may be repeated.")] = None,
    redirect_uri: Annotated[list[str] | None, typer.Option(help="Where people are sent after login.")] = None,
    grant: Annotated[
        list[Grant] | None,
        typer.Option(help="Default: client_credentials, and authorization_code with a redirect URI."),
    ] = None,
    purpose: Annotated[str | None, typer.Option(help="v3-PurposeOfUse of what it does by itself.")] = None,
    valid_from: Annotated[datetime | None, typer.Option(help="First day, UTC. Default: now.")] = None,
    valid_to: Annotated[datetime | None, typer.Option(help="Day it ends, UTC. Default: open.")] = None,
) -> None:
    """Register a system, or change its registration; keys that are left out are revoked."""
    roles = tuple(dict.fromkeys(role or ()))
    grants = [CLIENT_CREDENTIALS, *([AUTHORIZATION_CODE] if redirect_uri else [])]
    wanted = Client(
        client_id=client_id,
        name=name,
        organisation=organisation,
        organisation_name=organisation_name,
        scopes=tuple(dict.fromkeys(part for each in scope for part in each.split())),
        roles=roles,
        grants=tuple(each.value for each in grant) if grant else tuple(grants),
        redirect_uris=tuple(dict.fromkeys(redirect_uri or ())),
        # A quality register's system works for quality improvement (PDL 7 kap.), others run the infrastructure.
        purpose=purpose or ("HQUALIMP" if "transfer" in roles else "HOPERAT"),
        valid_from=_utc(valid_from) or datetime.now(UTC) - timedelta(minutes=1),
        valid_to=_utc(valid_to),
        keys=registration.read_keys(jwks),
    )
    with deployment(context).database() as url:
        asyncio.run(registration.put_client(url, wanted))
    typer.echo(f"{client_id}: {len(wanted.keys)} key(s), {len(wanted.scopes)} scope(s), {', '.join(wanted.grants)}")


@client.command("list")
def client_list(context: typer.Context) -> None:
    """Show the registered systems."""
    with deployment(context).database() as url:
        found = asyncio.run(registration.clients(url))
    now = datetime.now(UTC)
    table = Table("client", "organisation", "roles", "scopes", "state")
    for each in found:
        state = "revoked" if each.revoked else "active" if each.active(now) else "outside its period"
        organisation = f"{each.organisation_name} ({each.organisation})"
        table.add_row(each.client_id, organisation, " ".join(each.roles), " ".join(each.scopes), state)
    Console().print(table)


@client.command("revoke", epilog="**Example:** `ndi security client revoke region-norr`")
def client_revoke(context: typer.Context, client_id: Annotated[str, typer.Argument(help="client_id.")]) -> None:
    """End a system: it gets no token from now on; adding it again opens it again."""
    with deployment(context).database() as url:
        asyncio.run(registration.revoke_client(url, client_id))
    typer.echo(f"{client_id}: revoked")


@person.command(
    "add",
    epilog="**Example:** `ndi security person add --id disa --name 'Disa Dentström' --kind staff "
    "--hsa-id SE0000000044-D1 --organisation SE0000000044-VG --unit SE0000000044-VE1 --profession dentist`",
)
def person_add(
    context: typer.Context,
    person_id: Annotated[str, typer.Option("--id", help="Short name, e.g. disa.")],
    name: Annotated[str, typer.Option(help="Name.")],
    kind: Annotated[Kind, typer.Option(help="patient or staff.")],
    identifier: Annotated[
        str | None, typer.Option(help="Of a patient: system|value, a published test number; `-` reads it from input.")
    ] = None,
    hsa_id: Annotated[str | None, typer.Option(help="Of staff: HSA-id.")] = None,
    organisation: Annotated[str | None, typer.Option(help="Of staff: HSA-id of the care provider.")] = None,
    organisation_name: Annotated[str | None, typer.Option(help="Its name.")] = None,
    unit: Annotated[str | None, typer.Option(help="Of staff: HSA-id of the care unit.")] = None,
    unit_name: Annotated[str | None, typer.Option(help="Its name.")] = None,
    profession: Annotated[str | None, typer.Option(help="Of staff, e.g. dentist.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="Default: patient, or clinician.")] = None,
    assurance: Annotated[int, typer.Option(help="Level of assurance of the login, 1 to 4.")] = 3,
) -> None:
    """Register an invented person for the test identity provider."""
    if kind is Kind.patient and not identifier:
        raise CommandError("a patient needs --identifier 'system|value'")
    where = deployment(context)
    with where.database() as url:
        wanted = Person(
            id=person_id,
            name=name,
            kind=CallerKind(kind.value),
            # Only the key is kept: the identity provider has no need of the number.
            person_key=_person_key(identifier, where.person_keys()) if identifier else None,
            hsa_id=hsa_id,
            organisation=organisation,
            organisation_name=organisation_name,
            unit=unit,
            unit_name=unit_name,
            profession=profession,
            roles=tuple(dict.fromkeys(role or ())),
            assurance=assurance,
        )
        asyncio.run(registration.put_person(url, wanted))
    typer.echo(f"{person_id}: {kind.value}")


@key.command("create", epilog="**Example:** `ndi security key create --out norr.jwk --public norr.jwks`")
def key_create(
    out: Annotated[Path, typer.Option(help="File for the private key (ES256, JWK, mode 0600).")],
    public: Annotated[Path | None, typer.Option(help="File for the public key as JWKS.")] = None,
    kid: Annotated[str | None, typer.Option(help="Id of the key. Default: its thumbprint.")] = None,
) -> None:
    """Make a key for a client; a key that is there already is kept."""
    made = registration.create_key(out, kid)
    if public is not None:
        public.write_bytes(registration.jwks(made))
    typer.echo(f"{out}: kid {registration.kid(made)}")


def _person_key(identifier: str, keys: PersonKeys) -> PersonKey:
    text = sys.stdin.readline() if identifier == "-" else identifier
    system, separator, value = text.strip().partition("|")
    if not separator:
        raise CommandError("write the identifier as system|value")
    try:
        return keys.of(parse(system, value, today=datetime.now(UTC).date()))
    except InvalidPersonNumber as error:
        raise CommandError(str(error)) from None


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
