# One image, two processes: the collector by default, the dashboard by another command (see docker-compose.yml).
FROM python:3.13-slim AS build
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
WORKDIR /src
RUN pip install --no-cache-dir uv==0.13.8
COPY pyproject.toml uv.lock ./
COPY instrumentation instrumentation
COPY alerts alerts
COPY collector collector
COPY dashboard dashboard
RUN UV_PROJECT_ENVIRONMENT=/opt/outlay uv sync --frozen --no-dev --no-editable --no-cache

FROM python:3.13-slim
RUN useradd --system --uid 10001 --create-home outlay && install -d -o outlay /var/lib/outlay
COPY --from=build /opt/outlay /opt/outlay
ENV PATH=/opt/outlay/bin:$PATH PYTHONUNBUFFERED=1 OUTLAY_STORE_URL=sqlite:////var/lib/outlay/outlay.db
USER outlay
VOLUME /var/lib/outlay
EXPOSE 4317 4318 8501
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:4318/healthz', timeout=2)"]
# Inside a container the network is the container's own; what reaches it is decided by the ports that are published.
CMD ["outlay", "up", "--host", "0.0.0.0", "--no-dashboard", "--insecure"]
