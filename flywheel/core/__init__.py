"""The floor everything stands on: frozen types, ids, events, intents, errors, clock. Pure."""
