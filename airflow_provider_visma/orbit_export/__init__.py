"""An export of Orbit: what changed by its own moments (`changes`, pure), how rows land (`landing`)."""
