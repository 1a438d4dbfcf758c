"""The target `preflight`: what this machine has, and what a campaign will need of it."""
