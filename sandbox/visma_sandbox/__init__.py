"""The Visma systems, simulated on loopback."""
