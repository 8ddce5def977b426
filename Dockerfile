# Airflow as its project publishes it, with this provider and its sandbox installed from the build context.
FROM apache/airflow:3.3.2-python3.11

COPY --chown=airflow:root . /opt/airflow/airflow-provider-visma

# Airflow's own version is named again, so that pip may not replace it to satisfy something else.
RUN pip install --no-cache-dir \
        "apache-airflow==${AIRFLOW_VERSION}" \
        "/opt/airflow/airflow-provider-visma[parquet]" \
        /opt/airflow/airflow-provider-visma/sandbox \
    # A named volume takes the owner of the folder that it covers.
    && mkdir /tmp/visma
