"""Adapters: one technology behind one of the core's ports in each folder."""
