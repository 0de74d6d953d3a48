"""The unit files: complete for every user, whatever paths hold, and shut in."""

import json
import plistlib
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve

from galaxy_apps.services.plan import (
    AGENT,
    DASHBOARD,
    FILES,
    GATEWAY,
    HEALTH,
    HERMES,
    NAMES,
    Plan,
)
from galaxy_apps.services.rendering import NEEDS_NAMESPACE, instance, mark_of, sources
from galaxy_apps.settings import SettingsError, load
from tests.support import PROJECT_ROOT

UNITS = sorted(file for files in FILES.values() for file in files)
HIGHEST_EXPOSURE = 4.0
AWKWARD = 'a $HOME 100% "quoted" folder'


def plan_of(folder: Path, *, is_system: bool = False, **settings: object) -> Plan:
    """A plan for settings in a folder."""
    config = folder / ".galaxy" / "config.json"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(json.dumps({"machines": {"lab": {}}, **settings}), encoding="utf-8")
    config.chmod(0o600)
    return Plan(
        configuration=load(config, environ={}),
        environ={"PATH": f"/usr/bin:relative:{folder}:/usr/bin"},
        is_system=is_system,
    )


def test_every_file_belongs_to_a_service() -> None:
    """None in `services/` is forgotten, none is missing."""
    assert sorted(path.name for path in sources().glob("*.*") if path.is_file()) == UNITS
    assert sorted(FILES) == sorted(NAMES)


@pytest.mark.parametrize("is_system", [False, True])
@pytest.mark.parametrize("file", UNITS)
def test_nothing_is_left_to_fill_in(tmp_path: Path, file: str, *, is_system: bool) -> None:
    """No placeholder, no line of the other kind of manager; the mark is right."""
    text = plan_of(tmp_path, is_system=is_system).text(file)
    settings = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert not [line for line in settings if re.search(r"@[a-z_]+@", line)]
    assert "#@" not in text
    assert any(line.startswith("User=") for line in settings) is (
        is_system and not file.endswith(".timer")
    )
    mark = mark_of(text)
    assert mark is not None
    assert mark.is_unchanged
    assert mark.owner == str(tmp_path / ".galaxy" / "config.json")
    assert mark_of(text + "Nice=1\n") == evolve(mark, is_unchanged=False)
    assert mark_of(text.partition("\n")[2]) is None


@pytest.mark.parametrize("is_system", [False, True])
@pytest.mark.parametrize("name", [GATEWAY, DASHBOARD, HEALTH])
def test_what_needs_no_rights_has_few(tmp_path: Path, name: str, *, is_system: bool) -> None:
    """`systemd-analyze security` gives them less than 4 of 10."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    unit = tmp_path / f"{name}.service"
    unit.write_text(plan_of(tmp_path, is_system=is_system).text(unit.name), encoding="utf-8")
    said = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    level = re.search(r"Overall exposure level for .*: ([0-9.]+)", said.stdout)
    assert level is not None, said.stderr
    assert float(level[1]) < HIGHEST_EXPOSURE


@pytest.mark.parametrize("is_system", [False, True])
def test_systemd_finds_nothing_to_complain_of(tmp_path: Path, *, is_system: bool) -> None:
    """Every file, for a user's manager and for the system's; a template as one of its instances."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    plan, units, files = plan_of(tmp_path, is_system=is_system), tmp_path / "units", []
    units.mkdir()
    for file in UNITS:
        (units / file).write_text(plan.text(file), encoding="utf-8")
        files.append(str(units / file.replace("@.", "@lab.")))
    kind = () if is_system else ("--user",)
    done = subprocess.run(
        ["systemd-analyze", *kind, "--man=no", "verify", *files],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    about_us = [line for line in done.stderr.splitlines() if str(units) in line]
    assert (done.returncode, about_us) == (0, []), done.stderr


@pytest.mark.parametrize("is_system", [False, True])
def test_the_health_check_sees_the_agents_process(tmp_path: Path, *, is_system: bool) -> None:
    """In a user namespace, hidden processes are the person's own, too: each server looks dead."""
    text = plan_of(tmp_path, is_system=is_system).text(f"{HEALTH}.service")
    assert "\nPrivateUsers=yes\n" in text
    assert "\nProtectProc=" not in text


@pytest.mark.parametrize("name", [HERMES, AGENT])
def test_every_protection_that_is_left_out_has_its_reason(name: str) -> None:
    """What the gateway's unit has and the agent's has not is named below "Left out"."""

    def settings(file: str) -> set[str]:
        text = (sources() / file).read_text(encoding="utf-8")
        found = re.findall(r"^(?:#@\w+ )?([A-Z]\w+)=", text, re.MULTILINE)
        others = {"MemoryDenyWriteExecute", "SystemCallArchitectures", "UMask", "NoNewPrivileges"}
        restricting = {each for each in found if each.startswith("Restrict")}
        return restricting | {*found} & (others | {*NEEDS_NAMESPACE})

    text = (sources() / f"{name}.service").read_text(encoding="utf-8")
    reasons = set(re.findall(r"([A-Z]\w+)=", text.partition("# Left out:")[2]))
    needless = {"ReadWritePaths"}  # makes exceptions from ProtectSystem=strict
    missing = settings(f"{GATEWAY}.service") - settings(f"{name}.service") - reasons - needless
    assert missing == set()


@pytest.mark.parametrize("name", [HERMES, AGENT])
def test_templates_differ_in_the_machine_alone(name: str) -> None:
    """What is mended in one of them is mended in the other."""
    plain, template = (
        (sources() / file).read_text(encoding="utf-8").splitlines()
        for file in (f"{name}.service", f"{name}@.service")
    )
    changed = [line for line in template if line not in plain]
    assert [re.sub(r"[=:].*", "", line) for line in changed] == [
        "# For hosts with several machines",
        "Description",
        "ExecStart",
    ]


def test_paths_may_hold_anything(tmp_path: Path) -> None:
    """Spaces, quotes, dollars and per cents are what they are, not systemd's syntax."""
    folder = tmp_path / AWKWARD
    text = plan_of(folder).text(f"{GATEWAY}.service")
    escaped = str(folder).replace('"', '\\"').replace("%", "%%")
    assert f'--config "{escaped.replace("$", "$$")}/.galaxy/config.json"' in text
    assert f"WorkingDirectory={str(folder).replace('%', '%%')}\n" in text
    assert f'ReadWritePaths="{escaped}/.galaxy" ' in text


def test_programs_are_found_as_in_the_shell(tmp_path: Path) -> None:
    """Our own first, then the shell's folders that exist, each once, none relative."""
    folders = plan_of(tmp_path).path.split(":")
    assert folders[1:3] == ["/usr/bin", str(tmp_path)]
    assert len(folders) == len(set(folders))
    assert all(each.startswith("/") for each in folders)


def test_the_stop_of_hermes_has_time_for_the_drain(tmp_path: Path) -> None:
    """What runs is killed only after `drain_timeout`, and after it was given back."""
    text = plan_of(tmp_path, drain_timeout=300).text(f"{HERMES}.service")
    assert "TimeoutStopSec=330\n" in text
    assert "ExecStop" not in re.sub(r"#.*", "", text)


def test_the_limit_of_hermes_spares_the_agent(tmp_path: Path) -> None:
    """What may share Hermes' group, like `opencode run`, must not have Hermes' limit."""
    assert "\nMemoryMax=" in plan_of(tmp_path).text(f"{HERMES}.service")
    cli = plan_of(tmp_path, dispatcher="opencode-cli")
    assert "\nMemoryMax=" not in cli.text(f"{HERMES}.service")
    assert f"After={AGENT}" not in cli.text(f"{HERMES}.service")
    assert "\nMemoryMax=" not in plan_of(tmp_path).text(f"{AGENT}.service")
    # Without a unit for the agent, the system's manager lets it have no scope either.
    assert "\nMemoryMax=" not in plan_of(tmp_path, is_system=True).text(f"{HERMES}.service")


def test_the_agent_is_looked_for_where_its_user_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's services run as the folder's owner, so the home of who installs is no matter."""
    home = tmp_path / "home"
    opencode = home / ".opencode" / "bin" / "opencode"
    opencode.parent.mkdir(parents=True)
    opencode.write_text("#!/bin/sh\n", encoding="utf-8")
    opencode.chmod(0o755)
    homes = {tmp_path.stat().st_uid: SimpleNamespace(pw_dir=str(home))}
    monkeypatch.setattr("pwd.getpwuid", homes.__getitem__)
    others = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    of_a_user = evolve(plan_of(tmp_path), environ=others)
    assert "opencode" not in evolve(of_a_user, is_system=True).missing()
    homes.clear()
    assert evolve(of_a_user, is_system=True).missing() == of_a_user.missing()


def test_the_token_is_handed_over_where_there_is_a_file(tmp_path: Path) -> None:
    """A credential whose file is missing would keep the gateway from starting."""
    assert "LoadCredential" not in plan_of(tmp_path).text(f"{GATEWAY}.service")
    token = tmp_path / ".galaxy" / "telegram_token"
    token.write_text("1:a", encoding="utf-8")
    plan = plan_of(tmp_path)
    assert f"LoadCredential=telegram_token:{token}\n" in plan.text(f"{GATEWAY}.service")
    assert "LoadCredential" not in plan.text(f"{HERMES}.service")
    assert plan.obstacle(GATEWAY) is None


def test_what_a_host_cannot_do_is_left_out_visibly(tmp_path: Path) -> None:
    """A unit that asks for the impossible would not start."""
    plan = evolve(plan_of(tmp_path), impossible=frozenset(NEEDS_NAMESPACE))
    text = plan.text(f"{GATEWAY}.service")
    assert "# Not possible on this host: ProtectSystem=strict\n" in text
    assert not re.search(r"^(PrivateUsers|ProtectSystem|ReadWritePaths)=", text, re.MULTILINE)
    assert "\nNoNewPrivileges=yes\n" in text


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({}, {HERMES, AGENT}),
        ({"telegram_token": "1:a"}, {HERMES, AGENT, GATEWAY}),
        ({"web": {"enabled": True}}, {HERMES, AGENT, GATEWAY}),
        ({"dispatcher": "scripted"}, {HERMES}),
        ({"opencode": {"url": "http://127.0.0.1:4096"}}, {HERMES}),
    ],
)
def test_the_settings_say_what_is_needed(
    tmp_path: Path, settings: dict[str, Any], expected: set[str]
) -> None:
    """Without names; the dashboard opens a port, so it is installed by name only."""
    names = {service.name for service in plan_of(tmp_path, **settings).services(())}
    assert names - {HEALTH} == expected


def test_what_was_installed_by_name_is_kept_up_to_date(tmp_path: Path) -> None:
    """Whoever installs again after an upgrade means the dashboard, too; not what has no use."""
    plan = plan_of(tmp_path, dispatcher="scripted")
    names = {service.name for service in plan.services((), installed={DASHBOARD, AGENT})}
    assert names - {HEALTH} == {HERMES, DASHBOARD}
    assert [service.name for service in plan.services([HERMES], installed={DASHBOARD})] == [HERMES]


def test_what_has_no_use_is_refused_by_name(tmp_path: Path) -> None:
    """With the reason, before anything is written."""
    plan = plan_of(tmp_path, dispatcher="scripted")
    with pytest.raises(SettingsError, match="which has no server"):
        plan.services([AGENT])
    with pytest.raises(SettingsError, match="nothing to listen to"):
        plan.services([GATEWAY])
    with pytest.raises(SettingsError, match="galaxy init"):
        _ = evolve(plan, configuration=evolve(plan.configuration, path=None)).config


def test_several_machines_have_an_instance_each(tmp_path: Path) -> None:
    """Named after the machine, in systemd's own escaping."""
    (tmp_path / "b").mkdir()
    plan = plan_of(tmp_path, machines={"lab": {}, "at home": {"repo_path": "b"}})
    hermes, agent = plan.services([HERMES, AGENT])
    assert hermes.files == (f"{HERMES}@.service",)
    assert set(hermes.units) == {f"{HERMES}@lab.service", f"{HERMES}@at\\x20home.service"}
    assert set(agent.units) == {f"{AGENT}@lab.service", f"{AGENT}@at\\x20home.service"}
    assert f"\nAfter={AGENT}@%i.service\n" in plan.text(f"{HERMES}@.service")
    assert str(tmp_path / "b" / "logs") in plan.text(f"{GATEWAY}.service")


@pytest.mark.parametrize(
    "name", ["lab", "at home", "a-b", "ä", ".hidden", "a/b", "x:y_z.1", "a\\b"]
)
def test_names_are_escaped_as_systemd_does(name: str) -> None:
    """`systemd-escape` is the measure."""
    program = shutil.which("systemd-escape")
    if program is None:
        pytest.skip("systemd is not installed")
    done = subprocess.run([program, name], capture_output=True, text=True, check=True)
    assert instance(name) == done.stdout.strip()


# ---- elsewhere than systemd


@pytest.mark.parametrize("path", sorted((PROJECT_ROOT / "services/launchd").glob("*.plist")))
def test_launchd_takes_the_files(path: Path) -> None:
    """A property list with a name, a program and the end that Hermes is given."""
    content = plistlib.loads(path.read_bytes())
    assert content["Label"] == path.stem
    assert content["ProgramArguments"][1:3] == ["-P", "-m"]
    assert content["KeepAlive"] == {"SuccessfulExit": False}
    assert content["ExitTimeOut"] >= 20


def test_there_are_files_for_launchd() -> None:
    """The test above is not empty."""
    found = {path.stem.rpartition(".")[2] for path in sources().glob("launchd/*.plist")}
    assert found == {"gateway", "hermes", "dashboard"}


def test_the_image_runs_what_there_is() -> None:
    """Every program and file that Dockerfile and compose name exists; nobody is root."""
    docker = (sources() / "container" / "Dockerfile").read_text(encoding="utf-8")
    steps = re.findall(r"^([A-Z]+) ", docker, re.MULTILINE)
    assert steps[0] in {"ARG", "FROM"}
    assert {"USER", "ENTRYPOINT", "COPY"} <= set(steps)
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", docker, re.MULTILINE)
    for each in " ".join(copied).split():
        assert (PROJECT_ROOT / each).exists(), each
    compose = (sources() / "container" / "compose.yaml").read_text(encoding="utf-8")
    assert "\t" not in compose
    scripts = (PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for program in re.findall(r"command: \[(\S+?)[,\]]", compose):
        assert f"{program} = " in scripts
