"""`galaxy up`: everything on this host in one process."""
