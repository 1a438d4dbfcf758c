"""The acceptance kit: whether this workflow measures rightly on the GPUs of this machine."""
