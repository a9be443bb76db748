#!/bin/sh
# Flags alone are for the server; anything else is a command of its own.
case "$1" in
-*) set -- nats-server "$@" ;;
esac
exec "$@"
