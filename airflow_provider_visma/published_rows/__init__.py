"""What an export published before: the rows (`index`), and what a read of everything is held against
(`refresh`), both pure; `files` keeps the index and the keys that are gone beside a run's rows.
"""
