# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The terms that facts are stated in. They follow the statutes; Swedish in the docstrings."""

from enum import Enum


class ActorKind(Enum):
    """Who acts."""

    care = "care"
    """Staff of a care provider (vårdgivare)."""
    social = "social"
    """Staff of a social care provider (omsorgsgivare)."""
    patient = "patient"
    care_recipient = "care-recipient"
    """The person, towards social care (omsorgsmottagare)."""
    guardian = "guardian"
    """Vårdnadshavare of a minor."""
    proxy = "proxy"
    """Somebody the person has chosen (ombud)."""
    pharmacy = "pharmacy"
    system = "system"
    """Acts for a holder without a user."""
    admin = "admin"
    """Administrator of one provider's blocks."""
    register_user = "register-user"
    researcher = "researcher"
    third_party = "third-party"
    public = "public"
    """Anybody who asks for disclosure of documents."""


class Role(Enum):
    """Profession or duty of the actor."""

    physician = "physician"
    nurse = "nurse"
    dietitian = "dietitian"
    pharmacist = "pharmacist"
    care_manager = "care-manager"
    dispenser = "dispenser"


class Mandate(Enum):
    """State of a proxy's mandate (fullmakt) at the call."""

    none = "none"
    valid = "valid"
    expired = "expired"
    revoked = "revoked"


class Capacity(Enum):
    """Ability to take a position."""

    full = "full"
    minor = "minor"
    """A child that cannot decide itself."""
    temporarily_lacking = "temporarily-lacking"
    permanently_lacking = "permanently-lacking"
    """Inte endast tillfälligt."""


class HolderKind(Enum):
    """What the holder of the data is."""

    care = "care"
    social = "social"


class Basis(Enum):
    """Ground on which data were made available to others."""

    svod_2_4 = "2:4"
    svod_2_6 = "2:6"
    """For a person who is not only temporarily incapable."""


class Block(Enum):
    """The strictest restriction on the data asked for."""

    none = "none"
    inner = "inner"
    """PDL 4:4 (inre spärr)."""
    outer = "outer"
    """SVOD 2:3 (yttre spärr)."""
    lifted_by_holder = "lifted-by-holder"
    patient = "patient"
    """NLL 4:3."""
    restricted = "restricted"
    """EHDS Article 8."""
    opt_out = "opt-out"
    """EHDS Article 10."""


class DataType(Enum):
    """Kind of data, as far as the law treats it differently."""

    record_entry = "record-entry"
    access_log = "access-log"
    insurance_medical_investigation = "insurance-medical-investigation"
    nll = "nll"
    nll_narcotics_flag = "nll-narcotics-flag"
    unknown = "unknown"
    """A kind of information that is not agreed: always denied."""


class Element(Enum):
    """Part of the medication list."""

    prescription = "prescription"
    reason = "reason"
    """Ordinationsorsak."""


class Secrecy(Enum):
    """Result of the holder's test of secrecy (OSL 25:6 towards the patient, 12:3 towards the guardian)."""

    none = "none"
    osl_25_6 = "25:6"
    osl_12_3 = "12:3"


class RecordingPurpose(Enum):
    """Why the data were recorded (PDL 2:4 first paragraph)."""

    care = "2:4-1-2"
    other = "other"


class Relation(Enum):
    """Relation between the asking provider and the person."""

    current = "current"
    """Aktuell patientrelation."""
    former = "former"
    none = "none"
    receives_interventions = "receives-interventions"
    under_investigation = "under-investigation"


class Consent(Enum):
    """The person's consent to this access."""

    given = "given"
    given_explicit = "given-explicit"
    not_asked = "not-asked"
    refused = "refused"
    refused_by_guardian = "refused-by-guardian"
    cannot = "cannot"
    not_applicable = "n/a"


class Purpose(Enum):
    """What the access is for."""

    treatment = "TREAT"
    social_care = "SOCIAL-CARE"
    certificate = "CERTIFICATE"
    quality = "QUALITY"
    dispense = "DISPENSE"
    research = "RESEARCH"
    research_count = "RESEARCH-COUNT"
    marketing = "MARKETING"


class VitalInterests(Enum):
    """Whose vital interests make the access necessary (EHDS 10(2), 11(5))."""

    none = "none"
    data_subject = "data-subject"
    other_person = "other-person"


class Channel(Enum):
    """The way a person's own request comes."""

    shared_record = "shared-record"
    holder = "holder"
    access_service = "access-service"


class Mode(Enum):
    """What may be told of restrictions; set by deployment and channel, never by the caller."""

    SE = "SE"
    EHDS = "EHDS"


class AssertionType(Enum):
    """Kind of assertion in the national consent service."""

    consent = "Consent"
    emergency = "Emergency"


class Operation(Enum):
    """What is asked for."""

    read_content = "read-content"
    read_flag = "read-flag"
    check_open_exists = "check-open-exists"
    check_blocked_exists = "check-blocked-exists"
    list_open_holders = "list-open-holders"
    list_blocked_holders = "list-blocked-holders"
    count = "count"
    search = "search"
    request_disclosure = "request-disclosure"
    read_access_log = "read-access-log"
    request_access_log = "request-access-log"
    set_block = "set-block"
    lift_block = "lift-block"
    request_lift = "request-lift"
    make_available = "make-available"
    transfer_to_register = "transfer-to-register"
    register_opt_out = "register-opt-out"
    reverse_opt_out = "reverse-opt-out"
    delete = "delete"
    check_consent = "check-consent"
    check_blocks = "check-blocks"
    write_audit = "write-audit"
    purge_audit = "purge-audit"


class Scope(Enum):
    """Which block is to be set."""

    inner = "inner"
    outer = "outer"
    nll = "nll"
    restriction = "restriction"


class SearchTerm(Enum):
    """What is searched by (sökbegrepp)."""

    diagnosis = "diagnosis"
    ethnicity = "ethnicity"
    social_assistance = "social-assistance"
    reason_for_prescription = "reason-for-prescription"
