"""An export of Severa: what to ask (`asking`), what earlier runs brought (`state`), how it lands (`landing`).

`asking` and `state` are pure and know neither Airflow nor the wire.
"""
