"""The machinery behind `galaxy up`."""
