#!/bin/bash
# docker-mailserver: what to add to docker-data/dms/config/user-patches.sh, which runs in
# the container each time it starts, when everything else is configured.
# Checked by reading docker-mailserver's documentation and scripts only, and with
# postconf: it never ran in docker-mailserver.
#
# bounce-milter becomes the last in both lists, behind OpenDKIM and OpenDMARC, or rspamd,
# whichever docker-mailserver has put there.
# default_action=accept: while bounce-milter is down, mail is delivered untagged.
#
# bounce-milter runs in a container of its own on the same network, by that name. It
# listens on all addresses of its container,
#	listen = ["inet:8894@0.0.0.0"]
# and no port of it is published. (Some of Postfix's processes are in a chroot there; if
# the log says that they do not find the name, use the container's address.)
#
# To sort bounces into folders, copy sieve/bounces.sieve to before.dovecot.sieve beside
# this file.
milter='{ inet:bounce-milter:8894, default_action=accept, command_timeout=3s }'
for list in smtpd_milters non_smtpd_milters; do
	others=$(postconf -h "$list")
	case $others in
	*"$milter"*) ;; # the container was only restarted
	*) postconf -e "$list = $others $milter" ;;
	esac
done
postconf -e 'internal_mail_filter_classes = bounce'
