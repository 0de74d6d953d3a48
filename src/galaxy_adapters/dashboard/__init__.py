"""What a person wants to see at a glance, and the whole way of every order; rendered here."""

from pathlib import Path

from galaxy_adapters.dashboard.routes import routes

__all__ = ["FOLDER", "routes"]

FOLDER = Path(__file__).parent
"""For `Site`: templates and static files lie in it."""
