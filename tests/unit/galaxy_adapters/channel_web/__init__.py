"""Tests of the page's chat as a channel."""
