"""The `candor` command: what runs on one machine. The serving layer leaves this folder out."""
