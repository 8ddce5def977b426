"""A file of hours on its way to Severa: each row checked, noted before it is sent, and sent once.

`rows` and `doubt` are pure and know neither Airflow nor the wire.
"""
