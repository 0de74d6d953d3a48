"""Spoken words into text, by a service with OpenAI's endpoint."""

from galaxy_adapters.transcribe_openai.transcriber import OpenAITranscriber, TranscriptionService

__all__ = ["OpenAITranscriber", "TranscriptionService"]
