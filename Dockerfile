# One image for the API, the relay and the migrations; docker-compose.yml has the commands.
FROM node:24.21.0-slim

WORKDIR /app
ENV NODE_ENV=production
# See src/heap.ts.
ENV NODE_OPTIONS=--max-semi-space-size=8

# npm-shipped Node is for machines without Node 24; here it is the base image.
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts

COPY migrations migrations
COPY src src

USER node
EXPOSE 50051
CMD ["node", "src/api/main.ts"]
