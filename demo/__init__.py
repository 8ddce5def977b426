"""A real Airflow and the sandbox, started together: for the demonstration and for the end-to-end tests."""
