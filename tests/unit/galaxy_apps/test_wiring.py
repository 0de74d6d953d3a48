"""What the settings become: a configuration of Hermes, and adapters on the machine's folder."""

from datetime import timedelta
from pathlib import Path

from attrs import evolve

from galaxy_apps.late import IncidentRelay
from galaxy_apps.settings import DispatcherKind, Machine, ProjectSettings, Settings
from galaxy_apps.wiring import Place
from galaxy_apps.wiring_hermes import hermes_config
from galaxy_core.domain.policy import RecoveryPolicy
from galaxy_core.services.hermes import HermesConfig
from galaxy_core.testing.factories import make_incident
from galaxy_core.testing.memory import MemoryIncidentSink


def place(folder: Path, settings: Settings) -> Place:
    """A machine called lab."""
    return Place(settings, Machine(name="lab", repo_path=folder, names=frozenset({"lab"})))


def test_nothing_set_is_hermes_own_default(tmp_path: Path) -> None:
    """The defaults of the settings and of the service are written twice and must agree."""
    expected = HermesConfig(machine="lab", directory=tmp_path, names=frozenset({"lab"}))
    assert hermes_config(place(tmp_path, Settings())) == evolve(expected, projects={})


def test_every_setting_reaches_hermes(tmp_path: Path) -> None:
    """No setting ends on the way."""
    base = Settings()
    settings = evolve(
        base,
        hermes=evolve(
            base.hermes,
            workers=2,
            max_attempts=7,
            recovery=RecoveryPolicy.FAIL,
            executor_timeout=timedelta(minutes=5),
            request_timeout=None,
            poll_interval=timedelta(seconds=3),
            drain_timeout=timedelta(seconds=4),
            prompt_context=True,
            demo=True,
        ),
        limits=evolve(base.limits, payload_characters=5, silence=None, steps=6, unknown_finishes=8),
        projects={
            "site": ProjectSettings(repo_path=Path("site"), preamble="p", agent="a", model="m/n"),
            "other": ProjectSettings(),
        },
    )
    config = hermes_config(place(tmp_path, settings))
    assert (config.workers, config.retry.max_attempts) == (2, 7)
    assert config.recovery is RecoveryPolicy.FAIL
    assert config.run_limits.total == timedelta(minutes=5)
    assert config.run_limits.silence is None
    assert (config.run_limits.steps, config.run_limits.unknown_finishes) == (6, 8)
    assert config.order_limits.payload_characters == 5
    assert config.request_timeout is None
    assert config.rescan_every == timedelta(seconds=3)
    assert config.drain_budget == timedelta(seconds=4)
    assert config.tells_who_asked
    assert config.is_demo
    assert config.projects["site"].directory == tmp_path / "site"
    assert config.projects["site"].model == "m/n"
    assert config.projects["other"].directory is None


def test_the_built_in_agent_is_labelled(tmp_path: Path) -> None:
    """Nobody takes a script's answer for a model's."""
    base = Settings()
    scripted = evolve(base, hermes=evolve(base.hermes, dispatcher=DispatcherKind.SCRIPTED))
    assert hermes_config(place(tmp_path, scripted)).is_demo


def test_incidents_wait_for_somebody_to_tell() -> None:
    """What an adapter meets while things are put together is not lost, and comes in order."""
    relay, sink = IncidentRelay(), MemoryIncidentSink()
    first, second = make_incident(), make_incident()
    relay.report(first)
    relay.hand_on_to(sink)
    relay.report(second)
    assert sink.incidents == [first, second]
