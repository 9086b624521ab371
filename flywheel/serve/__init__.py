"""Makes the model servers and the gateway match the desired state."""
