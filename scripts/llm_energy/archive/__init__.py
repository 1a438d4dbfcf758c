"""A campaign as one file for its readers, and what a reader does with it.

contents.py   what goes in: code, configuration, results, and what describes them
crate.py      the same for other tools: files, and the jobs that made them, as an RO-Crate
pack.py       one file, the same bytes for the same input
verify.py     every file, every result: are they what they say?
reproduce.py  every table and figure again from the raw data, compared with the shipped ones
"""
