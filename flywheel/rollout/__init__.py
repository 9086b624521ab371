"""The registry, the canary, promotion and rollback: decides the desired state."""
