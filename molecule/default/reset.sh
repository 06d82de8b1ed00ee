#!/bin/sh
# What a person would do to start over: no PEC, no database, none of its units.
systemctl disable --now e-SUS-PEC.service 2>/dev/null
rm -rf /opt/e-SUS /etc/pec.config /etc/pec-stand-in.conf /etc/systemd/system/e-SUS-PEC.service* /usr/lib/systemd/system/e-SUS-PEC.service
systemctl daemon-reload
systemctl reset-failed
cd / && runuser -u postgres -- psql -q -c 'drop database if exists esus with (force)'
