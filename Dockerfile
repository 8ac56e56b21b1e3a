# Two stages: packages are installed with hashes in the first, the second carries only what runs.
FROM python:3.13-slim AS build

WORKDIR /src
COPY requirements/core.txt requirements/build.txt requirements/
RUN python -m venv /opt/tidegate \
    && /opt/tidegate/bin/pip install --no-cache-dir --require-hashes --requirement requirements/core.txt \
    && python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes --requirement requirements/build.txt

COPY pyproject.toml README.md LICENSE ./
COPY tidegate tidegate
RUN /opt/build/bin/hatchling build --target wheel --directory dist \
    && /opt/tidegate/bin/pip install --no-cache-dir --no-deps dist/*.whl \
    && /opt/tidegate/bin/pip uninstall --yes pip


FROM python:3.13-slim

RUN useradd --system --uid 10001 --home-dir /var/lib/tidegate --create-home --shell /usr/sbin/nologin tidegate
COPY --from=build /opt/tidegate /opt/tidegate
ENV PATH=/opt/tidegate/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TIDEGATE_CONFIG=/etc/tidegate/tidegate.toml

USER 10001
WORKDIR /var/lib/tidegate
VOLUME ["/var/lib/tidegate"]
EXPOSE 4180

HEALTHCHECK --interval=10s --timeout=4s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:4180/healthz', timeout=3)"]

ENTRYPOINT ["tidegate"]
CMD ["serve"]
