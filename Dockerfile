# One image for the API, the relay, the migrations and the command `ledger`.
#
# NODE_IMAGE can carry a digest, so that no build depends on who may move a tag:
#   docker build --build-arg NODE_IMAGE=node:24.21.0-bookworm-slim@sha256:… .
ARG NODE_IMAGE=docker.io/library/node:24.21.0-bookworm-slim

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
# The package `node` is for machines without Node 24; here it is the base image.
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="Payment Ledger" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production
# See src/heap.ts.
ENV NODE_OPTIONS=--max-semi-space-size=8
WORKDIR /app
COPY deploy/image/ /usr/local/bin/
COPY --from=dependencies /app/node_modules node_modules
COPY package.json LICENSE ./
COPY migrations migrations
COPY src src

# By number, so that Kubernetes can see that it is not root. Nothing of /app belongs to it,
# and no process writes to disk, so the root can be read-only.
USER 1000:1000
EXPOSE 50051 9464 9465
CMD ["node", "src/api/main.ts"]
