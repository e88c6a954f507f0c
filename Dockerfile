# The operator's image: `docker build -t localhost/mtls-operator:0.1.0 .`
# That of sidecars' init container: `docker build --target init -t localhost/mtls-operator-init:0.1.0 .`
# Built twice from the same sources, on the same base images, its own layer is the same to the bit: the versions are pinned in package-lock.json, and the files
# carry the time of the epoch. There is no HEALTHCHECK: Kubernetes' probes ask /healthz and /readyz.

# Node and npm, to bundle.
ARG BUILD_IMAGE=node:24-bookworm-slim
# Node without shell, npm or package manager, to run.
ARG RUNTIME_IMAGE=gcr.io/distroless/nodejs24-debian13:nonroot
# Debian, to redirect the traffic of a pod to its sidecar.
ARG INIT_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
# Install scripts are not needed. Node comes from the base image, not as a package.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY build.ts tsconfig.json LICENSE ./
COPY src src
RUN node build.ts \
  && mkdir -p /image/app \
  && cp -R dist/. LICENSE /image/app/ \
  && chmod -R u=rwX,go=rX /image \
  && find /image -exec touch --date=@0 {} +

FROM ${INIT_IMAGE} AS init
RUN apt-get update -q \
  && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends iproute2 nftables \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/apt /var/log/dpkg.log
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="mtls-operator-init" \
  org.opencontainers.image.description="Redirects the traffic of a pod to the sidecar of mtls-operator" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"
# What it runs, and as whom, stands in the pod.

FROM ${RUNTIME_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="mtls-operator" \
  org.opencontainers.image.description="Gives every workload in Kubernetes an mTLS identity and keeps it fresh" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"
# Where the usual base images have Node. The reasons for the rest of it and for Node's flags are in build.ts.
ENV PATH=/nodejs/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  NODE_ENV=production \
  MALLOC_ARENA_MAX=2
COPY --from=build /image/ /
# By number, so that a kubelet can see that it is not root.
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "--max-semi-space-size=8", "--heap-growing-percent=40", "--expose-gc", "/app/main.js"]
