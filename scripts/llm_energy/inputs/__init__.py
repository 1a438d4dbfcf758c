"""Environments, models and prompt sets made ready.

What cannot be had, or is not what was declared, raises an InputError (of models a ModelError, of
prompts a PromptError): one line that names the place and the remedy. Everywhere here, `root` is the
checkout with envs/ and config/, `target` the folder of an input's marker, and `log` the rule's log.
"""
