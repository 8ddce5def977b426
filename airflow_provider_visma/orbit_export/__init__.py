"""An export of Orbit: what changed by its own moments (`changes`, pure), what is asked (`reading`), how rows
land (`landing`).
"""
