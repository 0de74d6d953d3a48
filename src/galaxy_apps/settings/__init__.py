"""Settings: `.galaxy/config.json` and the environment -> frozen values, all problems at once."""

from galaxy_apps.settings.channels import RateSettings, TelegramSettings, TranscriptionSettings
from galaxy_apps.settings.effective import effective
from galaxy_apps.settings.environment import environment, variables
from galaxy_apps.settings.load import FILE, OPEN_TO_OTHERS, Configuration, load
from galaxy_apps.settings.machine import Machine
from galaxy_apps.settings.model import (
    DispatcherKind,
    MachineSettings,
    NetworkFolder,
    OpencodeSettings,
    ProjectSettings,
    Settings,
)
from galaxy_apps.settings.problems import SettingsError, nearest
from galaxy_apps.settings.secret import MASK, Secret

__all__ = [
    "FILE",
    "MASK",
    "OPEN_TO_OTHERS",
    "Configuration",
    "DispatcherKind",
    "Machine",
    "MachineSettings",
    "NetworkFolder",
    "OpencodeSettings",
    "ProjectSettings",
    "RateSettings",
    "Secret",
    "Settings",
    "SettingsError",
    "TelegramSettings",
    "TranscriptionSettings",
    "effective",
    "environment",
    "load",
    "nearest",
    "variables",
]
