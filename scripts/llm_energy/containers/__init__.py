"""Containers through the Docker API: the engine, what is said to a process in one, images."""
