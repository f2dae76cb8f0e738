"""Settings: every mistake in one pass, secrets only from where they are safe, and what is shipped is valid."""

import hashlib
import os
from pathlib import Path

import pytest

from provisioner.errors import FileRefused, SecretMissing, SecretUnsafe
from provisioner.model import SecurityType, WifiProfile
from provisioner.settings import CloudSettings, SecretSource, Settings, WifiSettings, load_settings

CONFIG = Path(__file__).parents[1] / "config"
TOKEN = "deadbeef" * 5


def mistakes(tmp_path, text):
    path = tmp_path / "line.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileRefused) as caught:
        load_settings(path)
    return [str(mistake).replace(f"{tmp_path}/", "") for mistake in caught.value.mistakes]


# --- the file ---


def test_the_shipped_settings_are_valid_as_they_are():
    loaded = load_settings(CONFIG / "line.yaml")

    line = loaded.settings
    assert line.cloud.client_id == "tempmon06-3459"
    assert line.wifi_profile("factory-2g") == WifiProfile("factory-2g", "Factory-2G", SecurityType.WPA2_AES, 0)
    assert [(station.switcher, station.uplink) for station in line.stations] == [("manual", "separate")] * 2
    assert loaded.sha256 == hashlib.sha256((CONFIG / "line.yaml").read_bytes()).hexdigest()


def test_what_the_shipped_settings_spell_out_is_the_default():
    """The comment there says so; a number that drifts would mislead."""
    line = load_settings(CONFIG / "line.yaml").settings

    assert line.budgets == Settings().budgets
    assert line.limits == Settings().limits
    assert line.cloud.requests_per_5min == Settings().cloud.requests_per_5min


def test_the_secrets_example_names_every_variable_the_shipped_settings_read():
    names = [
        line.partition("=")[0] for line in (CONFIG / "secrets.example.env").read_text().splitlines() if "=" in line
    ]
    values = {name: "x" for name in names if name.startswith("PROVISIONER_")}
    line = load_settings(CONFIG / "line.yaml").settings
    source = SecretSource(values, CONFIG)

    assert source.client_secret(line.cloud).reveal() == "x"
    assert source.user_token(line.cloud).reveal() == "x"
    assert [source.wifi_password(name, wifi).reveal() for name, wifi in line.wifi.items()] == ["x"]


def test_every_mistake_is_named_in_one_pass(tmp_path):
    found = mistakes(
        tmp_path,
        "version: 2\n"
        "colour: red\n"
        "cloud: {base_url: http://api.particle.io, request_s: 0, client_idd: a}\n"
        'wifi: {a: {ssid: "", security: wpa9}, none: {ssid: b}}\n'
        "stations:\n  - {name: b1, uplink: both}\n  - b2\n"
        "limits: {window_devices_max: 51}\n",
    )

    assert [message.partition(";")[0] for message in found] == [
        "line.yaml:1:10: 'version' must be at most 1",
        "line.yaml:2:1: unknown key 'colour'",
        "line.yaml:3:19: 'base_url': tokens travel only over https://",
        "line.yaml:3:54: 'request_s' must be more than 0",
        "line.yaml:3:57: unknown key 'client_idd'",
        "line.yaml:4:18: 'ssid': an SSID has 1 to 32 bytes of UTF-8, this one has 0",
        "line.yaml:4:32: 'security': unknown security type 'wpa9'",
        "line.yaml:6:24: 'uplink' must be 'separate' or 'shared'",
        "line.yaml:7:5: '1' must be a block of keys and values",
        "line.yaml:8:30: 'window_devices_max' must be at most 50",
    ]
    assert "did you mean 'client_id'?" in found[4]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("wifi: {none: {ssid: a}}", "'none' cannot name a profile"),
        ('wifi: {"a b": {ssid: a}}', "'a b' cannot name a profile"),
        ("wifi: {a-b: {ssid: a}, a_b: {ssid: b}}", "a-b and a_b would both read PROVISIONER_WIFI_A_B"),
        ("stations: [{name: a}, {name: a}]", "two stations have the same name"),
        ("stations: [{name: a, adapter: w}, {name: b, adapter: w}]", "two stations use the same adapter"),
        ("stations: [{name: a, scanner: /dev/s}, {name: b, scanner: /dev/s}]", "two stations have the same scanner"),
        ("stations: [{name: a, scanner: ttyACM0}]", "scanner"),
        ("stations: [{name: a, scanner_baud: 9601}]", "scanner_baud"),
        ("scanner: {command_prefix: ''}", "command_prefix"),
        ("scanner: {prefix: 'a very long prefix of a label'}", "prefix"),
        ("wifi: {a: {ssid: 'say \"hi\"'}}", "cannot be sent to a Photon"),
        ("wifi: {a: {ssid: ééééééééééééééééé}}", "this one has 34"),
    ],
)
def test_what_cannot_be_told_apart_or_sent_is_refused(tmp_path, text, what):
    (found,) = mistakes(tmp_path, text)

    assert what in found


@pytest.mark.parametrize(
    "text",
    [
        f"cloud: {{client_secret: {TOKEN}}}",
        f"cloud: {{client_id: {TOKEN}}}",
        f"budgets: {{join_s: {TOKEN}}}",
        f"wifi: {{a: {{ssid: a, security: {TOKEN}}}}}",
        f"wifi: {{a: {{ssid: a, password: {TOKEN}}}}}",
        f"stations: [{TOKEN}]",
        f"stations: [{{name: a, uplink: {TOKEN}}}]",
        f"limits: {TOKEN}",
    ],
)
def test_a_secret_in_the_file_is_refused_once_and_not_repeated(tmp_path, text):
    found = mistakes(tmp_path, text)

    assert len(found) == 1
    assert "secrets never stand in YAML" in found[0]
    assert TOKEN not in found[0]


@pytest.mark.parametrize(
    "url", ["https://api.particle.io/", "http://127.0.0.1:8000", "http://localhost", "http://[::1]:1"]
)
def test_a_cloud_is_reached_over_https_or_loopback(url):
    assert not CloudSettings(base_url=url).base_url.endswith("/")


@pytest.mark.parametrize(
    "url", ["http://api.particle.io", "http://localhost.example", "http://127.0.0.1@example.com", "ftp://x", ""]
)
def test_tokens_do_not_travel_in_the_clear(url):
    with pytest.raises(ValueError, match="https"):
        CloudSettings(base_url=url)


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Settings().product = "x"


# --- secrets ---


def private(tmp_path, data=b"s3cret\n", mode=0o600, name="secret"):
    path = tmp_path / name
    path.write_bytes(data)
    path.chmod(mode)
    return CloudSettings(client_secret_file=name)


def test_a_secret_comes_from_the_environment_before_the_file(tmp_path):
    cloud = private(tmp_path)

    assert SecretSource({"PROVISIONER_CLIENT_SECRET": "env"}, tmp_path).client_secret(cloud).reveal() == "env"
    assert SecretSource({}, tmp_path).client_secret(cloud).reveal() == "s3cret"


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o602, 0o644])
def test_a_secret_that_others_can_read_is_not_used(tmp_path, mode):
    with pytest.raises(SecretUnsafe) as caught:
        SecretSource({}, tmp_path).client_secret(private(tmp_path, mode=mode))

    assert f"mode {mode:04o}" in caught.value.detail
    assert "chmod 600" in caught.value.remedy


@pytest.mark.parametrize(
    "data", [b"s3cret\xff\n", b"s3cret\nuser\n", b"s3\x00cret", b"x" * 5000, b"\n", b""],
    ids=["not utf-8", "two lines", "nul", "long", "blank", "empty"],
)  # fmt: skip
def test_a_file_that_holds_no_single_line_is_refused_without_telling_it(tmp_path, data):
    with pytest.raises(SecretMissing) as caught:
        SecretSource({}, tmp_path).client_secret(private(tmp_path, data))

    assert "s3cret" not in f"{caught.value} {caught.value.remedy}"
    assert caught.value.__cause__ is None


def test_a_pipe_for_a_secret_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)

    with pytest.raises(SecretUnsafe):
        SecretSource({}, tmp_path).client_secret(CloudSettings(client_secret_file="pipe"))


def test_a_missing_secret_names_the_variable_and_the_setting(tmp_path):
    with pytest.raises(SecretMissing) as caught:
        SecretSource({}, tmp_path).user_token(CloudSettings())

    assert "PROVISIONER_USER_TOKEN" in caught.value.remedy
    assert "cloud.user_token_file" in caught.value.remedy

    with pytest.raises(SecretMissing, match="cannot be read"):
        SecretSource({}, tmp_path).user_token(CloudSettings(user_token_file="absent"))


def test_a_wifi_password_keeps_its_blanks_and_an_open_network_has_none(tmp_path):
    source = SecretSource({"PROVISIONER_WIFI_FACTORY_2G": " pass word "}, tmp_path)

    assert source.wifi_password("factory-2g", WifiSettings(ssid="a")).reveal() == " pass word "
    assert source.wifi_password("factory-2g", WifiSettings(ssid="a", security="open")) is None
