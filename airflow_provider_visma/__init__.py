"""Apache Airflow provider for the Visma HR and project systems in the Netherlands."""

__version__ = "0.1.0"
