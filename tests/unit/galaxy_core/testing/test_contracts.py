"""The suites themselves: nothing is dropped silently, and every port has one."""

import importlib
import pkgutil
import subprocess
import sys
from typing import ClassVar, Protocol

import pytest
from attrs import frozen

import galaxy_core.testing as library
from galaxy_core import ports
from galaxy_core.ports.agent_care import AgentCare
from galaxy_core.ports.alert_book import AlertBook
from galaxy_core.ports.alert_sink import AlertSink
from galaxy_core.ports.anchor_log import AnchorLog
from galaxy_core.ports.audit_sink import AuditSink
from galaxy_core.ports.audit_trail import AuditTrail
from galaxy_core.ports.channel import Channel
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.command_menu import CommandMenu
from galaxy_core.ports.control import Control
from galaxy_core.ports.dispatcher import Dispatcher
from galaxy_core.ports.front_desk import FrontDesk, Insight, Records
from galaxy_core.ports.incident_sink import IncidentSink
from galaxy_core.ports.inventory import Inventory
from galaxy_core.ports.machine_folder import MachineFolder
from galaxy_core.ports.note_store import NoteStore
from galaxy_core.ports.old_files import OldFiles, OldRecords
from galaxy_core.ports.order_catalogue import OrderCatalogue
from galaxy_core.ports.order_files import OrderFiles
from galaxy_core.ports.order_queue import OrderQueue
from galaxy_core.ports.outbox import Outbox
from galaxy_core.ports.presence import Presence
from galaxy_core.ports.progress_feed import ProgressFeed
from galaxy_core.ports.reporting import Reporting
from galaxy_core.ports.response_store import ResponseStore
from galaxy_core.ports.run_journal import RunJournal
from galaxy_core.ports.session_store import SessionStore
from galaxy_core.ports.trail_index import TrailFeeder, TrailIndex
from galaxy_core.ports.transcriber import Transcriber
from galaxy_core.testing import contracts, memory
from galaxy_core.testing.contracts import Contract, overrides, requires
from tests import contract as contract_tests

DRIVING = {FrontDesk, Insight, Records}
"""Ports that services implement: what they owe is in the services' own tests."""

SUITES: dict[type, type] = {
    AgentCare: contracts.AgentCareContract,
    AlertBook: contracts.AlertBookContract,
    AlertSink: contracts.AlertSinkContract,
    AnchorLog: contracts.AnchorLogContract,
    AuditSink: contracts.AuditContract,
    AuditTrail: contracts.AuditContract,
    Channel: contracts.ChannelContract,
    Clock: contracts.ClockContract,
    CommandMenu: contracts.CommandMenuContract,
    Control: contracts.ControlContract,
    Dispatcher: contracts.DispatcherContract,
    IncidentSink: contracts.IncidentSinkContract,
    Inventory: contracts.InventoryContract,
    MachineFolder: contracts.MachineFolderContract,
    NoteStore: contracts.NoteStoreContract,
    OldFiles: contracts.OldFilesContract,
    OldRecords: contracts.OldRecordsContract,
    OrderCatalogue: contracts.OrderCatalogueContract,
    OrderFiles: contracts.OrderFilesContract,
    OrderQueue: contracts.OrderQueueContract,
    Outbox: contracts.OutboxContract,
    Presence: contracts.PresenceContract,
    ProgressFeed: contracts.ProgressFeedContract,
    Reporting: contracts.ReportingContract,
    ResponseStore: contracts.ResponseStoreContract,
    RunJournal: contracts.RunJournalContract,
    SessionStore: contracts.SessionStoreContract,
    TrailFeeder: contracts.TrailIndexContract,
    TrailIndex: contracts.TrailIndexContract,
    Transcriber: contracts.TranscriberContract,
}
"""Which suite states the contract of which port."""


def all_ports() -> list[type]:
    """Every protocol that `galaxy_core.ports` defines, for adapters to implement."""
    found = []
    for info in pkgutil.iter_modules(ports.__path__):
        module = importlib.import_module(f"{ports.__name__}.{info.name}")
        found += [
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and value.__module__ == module.__name__
            and Protocol in value.__bases__
            and value not in DRIVING
        ]
    return found


def suites_in_use(prefix: str) -> list[type]:
    """Test classes of `tests/contract/test_<prefix>*.py`, those that inherit a suite."""
    found = []
    for info in pkgutil.iter_modules(contract_tests.__path__):
        if info.name.startswith(f"test_{prefix}"):
            module = importlib.import_module(f"{contract_tests.__name__}.{info.name}")
            found += [
                value
                for name, value in vars(module).items()
                if name.startswith("Test") and isinstance(value, type)
            ]
    return found


def test_ports_are_found() -> None:
    """The introspection below looks at all ports, not at an empty list."""
    assert set(all_ports()) == set(SUITES)


@pytest.mark.parametrize("port", all_ports(), ids=lambda port: port.__name__)
def test_every_port_has_an_adapter_in_memory(port: type) -> None:
    """An embedder can test against any port without a mock."""
    adapters = [value for value in vars(memory).values() if isinstance(value, type)]
    assert [adapter for adapter in adapters if port in adapter.__mro__]


@pytest.mark.parametrize("port", all_ports(), ids=lambda port: port.__name__)
def test_every_port_has_a_suite_that_runs_over_memory(port: type) -> None:
    """No contract is stated that nothing passes."""
    suites = [*suites_in_use("memory")]
    assert [suite for suite in suites if SUITES[port] in suite.__mro__]


@pytest.mark.parametrize("suite", suites_in_use(""), ids=lambda suite: suite.__name__)
def test_no_adapter_drops_an_inherited_test_silently(suite: type) -> None:
    """Who replaces a test of a contract says why."""
    assert contracts.silent_overrides(suite) == []


@pytest.mark.parametrize("suite", dict.fromkeys(SUITES.values()), ids=lambda suite: suite.__name__)
def test_features_that_tests_require_exist(suite: type[Contract]) -> None:
    """A misspelt feature would skip its test for ever."""
    assert contracts.unknown_features(suite, type(suite.features)) == []


@pytest.mark.parametrize("suite", dict.fromkeys(SUITES.values()), ids=lambda suite: suite.__name__)
def test_every_contract_test_says_which_rule_it_defends(suite: type) -> None:
    """An adapter's author reads the rule in the failure."""
    tests = [name for name in dir(suite) if name.startswith("test_")]
    assert len(tests) >= 3
    assert [name for name in tests if not getattr(suite, name).__doc__] == []


@frozen
class _Features:
    """A feature set of these tests."""

    has_wings: bool = True


class _Suite(Contract):
    features: ClassVar[_Features] = _Features()

    def test_it_holds(self) -> None:
        """A rule."""

    @requires("has_wigns")
    def test_misspelt(self) -> None:
        """A rule that nobody ever checks."""


def test_silent_override_is_an_error() -> None:
    """Replacing an inherited test without a reason fails when the class is made."""
    with pytest.raises(TypeError, match="test_it_holds"):

        class _Adapter(_Suite):
            def test_it_holds(self) -> None:
                """Something weaker."""


def test_taking_a_test_away_is_an_error() -> None:
    """Hiding an inherited test from pytest is an override too."""
    with pytest.raises(TypeError, match="test_it_holds"):
        type("_Adapter", (_Suite,), {"test_it_holds": None})


def test_override_with_a_reason_is_allowed() -> None:
    """An adapter may differ when it says why."""

    class _Adapter(_Suite):
        @overrides("this store cannot be opened twice")
        def test_it_holds(self) -> None:
            """Something else."""

    assert contracts.silent_overrides(_Adapter) == []


@pytest.mark.parametrize("reason", ["", "because", "not now"])
def test_empty_reason_is_refused(reason: str) -> None:
    """A reason has to say something."""
    with pytest.raises(ValueError, match="why"):
        overrides(reason)


def test_misspelt_feature_is_found() -> None:
    """The check of features can fail."""
    assert contracts.unknown_features(_Suite, _Features) == ["test_misspelt: has_wigns"]


def test_library_exports_what_it_names() -> None:
    """Every public name of `galaxy_core.testing` can be imported from it."""
    sources = (contracts, memory, importlib.import_module(f"{library.__name__}.state_machine"))
    for name in library.__all__:
        assert any(getattr(library, name) is getattr(s, name, None) for s in sources)
    assert set(contracts.__all__) <= set(library.__all__)
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = library.no_such_thing  # type: ignore[attr-defined]


def test_memory_adapters_need_no_pytest() -> None:
    """An application may embed the memory adapters without the testing extra."""
    code = (
        "import sys\n"
        "for name in ('pytest', 'hypothesis', '_pytest'):\n"
        "    sys.modules[name] = None\n"
        "import galaxy_core.testing, galaxy_core.testing.memory, galaxy_core.testing.factories\n"
        "galaxy_core.testing.ManualClock\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
