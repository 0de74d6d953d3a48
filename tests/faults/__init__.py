"""What happens when the machine fails: deaths, full disks, power cuts."""
