"""The programs as services: unit files for systemd, and putting them where they belong."""
