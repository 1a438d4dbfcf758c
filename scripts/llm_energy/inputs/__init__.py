"""Environments, models and prompt sets made ready.

What cannot be had, or is not what was declared, raises an InputError (of models a ModelError, of
prompts a PromptError): one line that names the place and the remedy.
"""
