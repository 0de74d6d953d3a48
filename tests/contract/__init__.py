"""Adapters under the suites that ship with the library: a subclass, features, a harness each."""
