"""Hermes: claims the orders of one machine, runs them, records them and settles them."""

from galaxy_core.services.hermes.config import HermesConfig, HermesPorts, ProjectConfig
from galaxy_core.services.hermes.daemon import Hermes

__all__ = ["Hermes", "HermesConfig", "HermesPorts", "ProjectConfig"]
