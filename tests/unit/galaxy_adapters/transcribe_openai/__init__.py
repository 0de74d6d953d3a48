"""Tests of the transcription client."""
