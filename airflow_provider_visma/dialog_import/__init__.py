"""The import into Dialog, free of Airflow: who becomes what, what would change, and bringing it there.

``rules`` decide about one employee, ``planning`` about all of them, ``plan`` is what they decided and its
guard: these three know no wire. ``resources``, ``service`` and ``writer`` speak SCIM, which is an assumption.
"""
