"""The HTTP API under `/api`, `/metrics` for Prometheus, `/healthz` and `/readyz`."""

from galaxy_adapters.http_api.api import routes

__all__ = ["routes"]
