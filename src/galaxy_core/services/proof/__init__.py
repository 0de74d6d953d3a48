"""Proof that nothing was lost: every message, order, end, response and letter has its next."""

from galaxy_core.services.proof.messages import ACCEPTED, MessageProof
from galaxy_core.services.proof.orders import OrderProof
from galaxy_core.services.proof.report import merged

__all__ = ["ACCEPTED", "MessageProof", "OrderProof", "merged"]
