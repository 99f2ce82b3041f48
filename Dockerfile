# ecif: build the wheel, then run it as a user without rights.
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.lock requirements-dev.lock ./
RUN python -m venv /opt/ecif && /opt/ecif/bin/pip install --no-cache-dir --require-hashes -r requirements.lock \
 && python -m venv /opt/build && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements-dev.lock
COPY . .
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
 && /opt/ecif/bin/pip install --no-cache-dir --no-deps /dist/*.whl

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 ecif && install -d -o ecif -g ecif /var/lib/ecif
COPY --from=build /opt/ecif /opt/ecif
ENV PATH=/opt/ecif/bin:$PATH ECIF_HOME=/var/lib/ecif ECIF_HOST=0.0.0.0 PYTHONUNBUFFERED=1
USER ecif
VOLUME /var/lib/ecif
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["ecif", "serve"]
