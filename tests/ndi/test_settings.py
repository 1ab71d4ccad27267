# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
from pathlib import Path

import pytest

from fhir_server.crypto import Cipher
from ndi import settings


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NDI_CONFIG", raising=False)
    return tmp_path


def test_argument_before_environment_before_file_before_default(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.load().port == 8700
    (empty_folder / "ndi.toml").write_text('port = 8801\nhost = "::1"\n')
    assert settings.load().port == 8801
    monkeypatch.setenv("NDI_PORT", "8802")
    assert settings.load().port == 8802
    assert settings.load(port=8803, host=None).port == 8803
    assert settings.load().address == "http://[::1]:8802"


def test_a_file_that_is_named_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NDI_CONFIG", "absent.toml")
    with pytest.raises(settings.SettingsError, match=r"no file absent\.toml"):
        settings.load()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("NDI_PORT", "0", "NDI_PORT"),
        ("NDI_BASE_URL", "ndi.example", "http://"),
        ("NDI_DISCLOSURE_MODE", "SECRET", "NDI_DISCLOSURE_MODE"),
        ("NDI_ENGAGEMENT_INDEX_OWNER", "the index", "NDI_ENGAGEMENT_INDEX_OWNER"),
        ("NDI_ENGAGEMENT_INDEX_PLATFORM_ADDRESSES", '["NTJP"]', "NDI_ENGAGEMENT_INDEX_PLATFORM_ADDRESSES"),
        ("NDI_SUBSCRIPTION_NETWORKS", '["10.20"]', "NDI_SUBSCRIPTION_NETWORKS"),
        ("NDI_PROT", "8700", "NDI_PROT: no such setting"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(settings.SettingsError, match=says) as error:
        settings.load()
    assert "\n" not in str(error.value)


def test_notifications_go_where_the_settings_say(monkeypatch: pytest.MonkeyPatch, cipher: Cipher) -> None:
    assert settings.load().subscriptions(cipher).networks == ()
    monkeypatch.setenv("NDI_SUBSCRIPTION_NETWORKS", '["10.20.0.0/16", "fd00:1::/32"]')
    monkeypatch.setenv("NDI_SUBSCRIPTION_HOSTS", '["region.example"]')
    found = settings.load().subscriptions(cipher)
    assert [str(each) for each in found.networks] == ["10.20.0.0/16", "fd00:1::/32"]
    assert found.hosts == {"region.example"}
    assert not found.loopback and not found.unsigned


def test_the_engagement_index_is_who_the_settings_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NDI_ENGAGEMENT_INDEX_OWNER", "se0000000099-ei")
    monkeypatch.setenv("NDI_ENGAGEMENT_INDEX_ALTERNATIVE_OWNERS", '["SE0000000099-OLD"]')
    (tmp_path / "ndi.toml").write_text('engagement_index_platform_addresses = ["SE0000000099-TP"]')
    found = settings.load()
    assert found.engagement_index_owner == "SE0000000099-EI"
    assert found.engagement_index_alternative_owners == {"SE0000000099-OLD"}
    assert found.engagement_index_platform_addresses == {"SE0000000099-TP"}


def test_a_broken_file_or_an_unknown_key_in_it_is_one_line(empty_folder: Path) -> None:
    for text in ("port = = 1", "prot = 1"):
        (empty_folder / "ndi.toml").write_text(text)
        with pytest.raises(settings.SettingsError) as error:
            settings.load()
        assert "\n" not in str(error.value)


def test_passwords_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NDI_DATABASE_URL", "postgresql://ndi:hemligt@db/ndi")
    found = settings.load()
    assert "hemligt" not in "".join(row.value for row in settings.rows(found))
    assert "hemligt" not in repr(found)


def test_the_table_names_every_setting() -> None:
    assert all(f"`NDI_{name.upper()}`" in settings.table() for name in settings.Settings.model_fields)
    assert all(field.description for field in settings.Settings.model_fields.values())
