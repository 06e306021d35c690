"""What the scripts that run the whole product share: processes, a client that signs, control plane and gateway."""
