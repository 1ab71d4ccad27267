# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The facts that an access decision rests on, typed.

A fact left out has the default that makes rules short to state; whoever builds facts for a real call sets every fact
it does not know to the value that denies (`access.py`).
"""

from dataclasses import dataclass
from datetime import datetime

from consent.model.terms import (
    ActorKind,
    AssertionType,
    Basis,
    Block,
    Capacity,
    Channel,
    Consent,
    DataType,
    Element,
    HolderKind,
    Mandate,
    Mode,
    Operation,
    Purpose,
    RecordingPurpose,
    Relation,
    Role,
    Scope,
    SearchTerm,
    Secrecy,
    VitalInterests,
)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, as verified."""

    kind: ActorKind | None = None
    care_provider: str | None = None
    care_unit: str | None = None
    employee: str | None = None
    role: Role | None = None
    may_prescribe: bool = False
    may_lift_inner_block: bool = False
    """Behörig befattningshavare (PDL 4:5)."""
    authorised: bool = True
    authority_is_shared: bool = False
    participates_in_care: bool = True
    """Deltar i vården av patienten (PDL 4:1)."""
    other_work_need: bool = False
    loa: int = 3
    """Level of assurance of the login, 1-4."""
    mandate: Mandate = Mandate.none
    registered_in_nll: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """The person the data are about."""

    self: bool = False
    """The actor is the person."""
    minor: bool = False
    can_consent_self: bool = True
    capacity: Capacity = Capacity.full
    informed_2_2: bool = True
    informed_7_3: bool = True
    information_possible: bool = True
    register_opt_out: bool = False
    in_register: bool = False
    dose_dispensing: bool = False


@dataclass(frozen=True, slots=True)
class Data:
    """What is asked for."""

    holder: str | None = None
    holder_kind: HolderKind = HolderKind.care
    unit: str | None = None
    made_available: bool = True
    basis: Basis = Basis.svod_2_4
    block: Block = Block.none
    block_since: datetime | None = None
    type: DataType = DataType.record_entry
    element: Element = Element.prescription
    age_months: float = 0
    register: str | None = None
    reported_by: str | None = None
    includes_personnummer: bool = False
    code_suffices: bool = False
    releasable: bool = True
    secrecy: Secrecy = Secrecy.none
    purpose_of_recording: RecordingPurpose = RecordingPurpose.care
    public_body: bool = True
    in_scope: bool = True
    only_restricted: bool = False
    release_delayed_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Assertion:
    """An assertion of the national consent service."""

    type: AssertionType | None = None
    unit: str | None = None
    employee: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    """Inclusive; None: no end."""
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """What an audit record states, and its age."""

    action: bool = False
    unit: bool = False
    time: bool = False
    user: bool = False
    patient: bool = False
    age_months: float = 0


@dataclass(frozen=True, slots=True)
class Situation:
    """The circumstances of the call."""

    relation: Relation = Relation.none
    consent: Consent = Consent.not_asked
    need: bool = True
    purpose: Purpose | None = None
    danger: bool = False
    """Fara för patientens liv eller allvarlig risk för dennes hälsa."""
    vital_interests: VitalInterests = VitalInterests.none
    assessed_essential: bool = False
    """Oundgängligen behöver (SVOD 3:5-6, PDL 4:5, NLL 5:5)."""
    assessed_necessary: bool = False
    """Nödvändig (SVOD 3:3-4)."""
    attitude_clarified: bool = False
    would_oppose: bool = True
    step1_done: bool = False
    active_choice: bool = True
    channel: Channel | None = None
    mode: Mode = Mode.SE
    cross_border: bool = False
    treatment_state_allows: bool = True
    national_rule_allows_override: bool = False
    national_rule_allows_delay: bool = False
    audit_sink_available: bool = True
    clear_without_harm: bool = False
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a decision may look at."""

    operation: Operation
    actor: Actor = Actor()
    subject: Subject = Subject()
    data: Data = Data()
    situation: Situation = Situation()
    scope: Scope | None = None
    search_term: SearchTerm | None = None
    assertion: Assertion = Assertion()
    audit: AuditRecord = AuditRecord()

    @property
    def own_provider(self) -> bool:
        """The asking provider holds the data itself."""
        return self.data.holder is not None and self.actor.care_provider == self.data.holder

    @property
    def own_unit(self) -> bool:
        """The data were documented at the actor's own unit; an unknown unit is another one."""
        return self.own_provider and self.data.unit is not None and self.actor.care_unit == self.data.unit

    @property
    def restricted(self) -> bool:
        """A restriction applies to the data for this actor."""
        block = self.data.block
        if block in (Block.none, Block.lifted_by_holder):
            return False
        if block is Block.outer:
            return not self.own_provider
        return not (block is Block.inner and self.own_unit)

    @property
    def small_child(self) -> bool:
        """A child that cannot consent itself."""
        return self.subject.minor and not self.subject.can_consent_self
