# syntax=docker/dockerfile:1
# Workers with an app: its folder is the build context.
#   docker build -f deploy/worker.Dockerfile -t my-workers deploy/app
ARG EVENTSPINE=eventspine
FROM ${EVENTSPINE}
# Below /app, where `eventspine` itself is found. An app with packages of its own installs them in a stage before.
COPY . /app/app/
# Nothing listens in a worker; the server sees whether it beats.
HEALTHCHECK NONE
CMD ["worker", "/app/app/app.mjs"]
