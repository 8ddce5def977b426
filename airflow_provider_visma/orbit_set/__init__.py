"""Rows of a file on their way to a ``set`` of Orbit: an id changes what is there, without one a row is made.

`fields` and `rows` are pure and know neither Airflow nor the wire.
"""
