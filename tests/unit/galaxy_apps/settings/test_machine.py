"""Which machine this is, and where its folder lies."""

import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from galaxy_apps.settings import Machine, MachineSettings, SettingsError
from galaxy_apps.settings.machine import (
    choose_machine,
    is_local,
    local_machines,
    names_elsewhere,
)
from galaxy_apps.settings.model import MachinesSettings

AWAY = "192.0.2.7"


def choose(
    folder: Path,
    machines: Mapping[str, Mapping[str, str]],
    wanted: str | None = None,
    default_machine: str | None = None,
) -> Machine:
    """Choose among machines; their folders are written as in the file."""
    made = {
        name: MachineSettings(host=m.get("host", ""), repo_path=Path(m.get("repo_path", ".")))
        for name, m in machines.items()
    }
    return choose_machine(
        MachinesSettings(machines=made, default_machine=default_machine), folder, wanted=wanted
    )


@pytest.mark.parametrize(
    "host, here",
    [
        ("", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.1", True),
        ("::1", True),
        (socket.gethostname(), True),
        (AWAY, False),
    ],
)
def test_here_is_this_host_by_any_name(host: str, *, here: bool) -> None:
    """The original knew localhost, 127.0.0.1 and nothing; its own name counts too."""
    assert is_local(MachineSettings(host=host)) is here


def test_the_default_machine_is_taken_when_it_is_here(tmp_path: Path) -> None:
    """Of several machines on one host the default one is meant."""
    machines: dict[str, dict[str, str]] = {"a": {}, "b": {}}
    assert choose(tmp_path, machines, default_machine="b").name == "b"
    with pytest.raises(SettingsError, match=r"several are on this host \(a, b\)"):
        choose(tmp_path, machines)


def test_the_only_machine_here_is_taken_before_a_default_elsewhere(tmp_path: Path) -> None:
    """A laptop that shares the server's settings is the laptop."""
    machines = {"server": {"host": AWAY}, "laptop": {}}
    assert choose(tmp_path, machines, default_machine="server").name == "laptop"


def test_the_wanted_machine_is_found_by_any_case(tmp_path: Path) -> None:
    """--machine is what a person types; a wrong one is answered with what there is."""
    machines: dict[str, dict[str, str]] = {"Lab": {}, "roof": {}}
    assert choose(tmp_path, machines, "lab").name == "Lab"
    with pytest.raises(SettingsError, match=r"no machine 'roff'; did you mean \"roof\"\?"):
        choose(tmp_path, machines, "roff")


def test_no_machine_here_asks_for_a_choice(tmp_path: Path) -> None:
    """Hermes does not guess that it is a machine which lies elsewhere."""
    with pytest.raises(SettingsError, match="none of them is this host"):
        choose(tmp_path, {"server": {"host": AWAY}, "rack": {"host": AWAY}})


def test_the_folder_of_another_host_must_be_here(tmp_path: Path) -> None:
    """An order for a machine whose folder is not mounted cannot be handed in here."""
    (tmp_path / "shared").mkdir()
    machines = {"server": {"host": AWAY, "repo_path": "shared"}, "rack": {"host": AWAY}}
    there = choose(tmp_path, machines, "server")
    assert (there.repo_path, there.is_local) == (tmp_path / "shared", False)
    machines["rack"]["repo_path"] = "nowhere"
    with pytest.raises(SettingsError, match="it is on host"):
        choose(tmp_path, machines, "rack")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """A misspelt repo_path is not created by accident."""
    with pytest.raises(SettingsError, match=r"machines\.a\.repo_path: there is no folder"):
        choose(tmp_path, {"a": {"repo_path": "nowhere"}})


def test_paths_begin_at_the_projects_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative paths do not depend on where Hermes was started; ~ is the home folder."""
    home = tmp_path / "home"
    (tmp_path / "project" / "sub").mkdir(parents=True)
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    project = tmp_path / "project"
    assert choose(project, {"a": {"repo_path": "sub"}}).repo_path == project / "sub"
    assert choose(project, {"a": {"repo_path": "~"}}).repo_path == home
    assert choose(project, {"a": {}}).repo_path == project


def test_machines_that_share_a_folder_are_the_others(tmp_path: Path) -> None:
    """Their orders are left alone: another Hermes serves them from this folder."""
    (tmp_path / "own").mkdir()
    machines = {"a": {}, "B": {"host": AWAY}, "c": {"repo_path": "own"}}
    assert choose(tmp_path, machines, "a").others == {"b"}
    assert choose(tmp_path, machines, "c").others == frozenset()


def test_the_originals_single_machine(tmp_path: Path) -> None:
    """`machine_name` and `repo_path` at the top of the file are one machine."""
    (tmp_path / "repo").mkdir()
    settings = MachinesSettings(legacy_name="Lab", legacy_repo_path=Path("repo"))
    machine = choose_machine(settings, tmp_path)
    assert (machine.name, machine.names) == ("Lab", frozenset({"lab"}))
    assert machine.repo_path == tmp_path / "repo"


def test_every_machine_of_this_host_is_served(tmp_path: Path) -> None:
    """The gateway serves all machines here, the default one first, and knows the others' names."""
    settings = MachinesSettings(
        machines={
            "a": MachineSettings(),
            "away": MachineSettings(host=AWAY, repo_path=Path("nowhere")),
            "b": MachineSettings(host="localhost"),
        },
        default_machine="b",
    )
    assert [machine.name for machine in local_machines(settings, tmp_path)] == ["b", "a"]
    assert names_elsewhere(settings) == ("away",)


def test_a_gateway_without_a_machine_here_is_refused(tmp_path: Path) -> None:
    """Where no machine is served, there is nothing to hand orders to."""
    settings = MachinesSettings(machines={"away": MachineSettings(host=AWAY)})
    with pytest.raises(SettingsError, match='set the "host" of one that is to "localhost"'):
        local_machines(settings, tmp_path)
    (only,) = local_machines(MachinesSettings(), tmp_path)
    assert (only.repo_path, only.names) == (tmp_path, None)
