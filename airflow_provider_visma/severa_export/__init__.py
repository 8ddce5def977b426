"""An export of Severa: what to ask (`asking`), what earlier runs brought (`state`, `index`), where it lands.

`asking`, `state` and `index` are pure and know neither Airflow nor the wire.
"""
