"""Containers through the Docker API: the engine, messages to a process in one, images."""
