"""The composition root: cycle, schedules, supervision, word to systemd."""
