"""A campaign as one file for its readers, and the commands that readers run.

contents.py   the files: code, configuration, results, and their description
crate.py      files, and the jobs that made them, as an RO-Crate for other tools
pack.py       one file, equal bytes for equal input
verify.py     checks of every file and every result
reproduce.py  every table and figure again from the raw data, compared with the shipped ones
"""
