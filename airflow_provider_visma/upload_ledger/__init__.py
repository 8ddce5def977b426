"""A file of rows on its way to a service: each row noted before it is sent, and sent once.

`rows` and `settlement` are pure and know neither Airflow nor the wire.
"""
